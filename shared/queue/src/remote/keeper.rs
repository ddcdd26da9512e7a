//! The connections of one queue, and what its local workers would do for it: a queue may have remote workers only, and then
//! this process finds the leases of those that have gone silent.

use std::{
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use gristmill_core::chain;
use tracing::{debug, warn};

use super::{Inner, lock};
use crate::{
    JobId, QueueError,
    broker::{BrokerError, BrokerQueue, Lease, LostDelivery, REAP_BATCH_SIZE, ReapResult},
    delivery::reaper,
    envelope::Envelope,
    ledger::fail::{self, Run, Settle, Verdict},
    run::{attempt::count, known, remember_lost},
};

/// A queue is looked after for so long after a remote worker last spoke of it: longer than any lease of theirs.
const KEPT: Duration = Duration::from_secs(120);

/// One queue.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) claims: BrokerQueue,
    pub(super) answers: BrokerQueue,
    used: Mutex<Instant>,
}

impl Inner {
    /// The connections of this queue, which is looked after from now on.
    pub(super) fn line(self: &Arc<Self>, name: &str) -> Arc<Line> {
        let mut lines = lock(&self.lines);
        if let Some(line) = lines.get(name) {
            *lock(&line.used) = Instant::now();
            return Arc::clone(line);
        }
        let links = self.queue.links();
        let line = Arc::new(Line {
            name: name.to_owned(),
            claims: links.claims().queue(name),
            answers: links.answers().queue(name),
            used: Mutex::new(Instant::now()),
        });
        lines.insert(name.to_owned(), Arc::clone(&line));
        let (inner, stop) = (Arc::downgrade(self), self.stop.clone());
        let kept = Arc::clone(&line);
        let lease = self.lease;
        tokio::spawn(async move {
            tokio::select! {
                () = keep(inner, kept, lease) => {}
                () = stop.cancelled() => {}
            }
        });
        line
    }

    /// Gives the jobs of silent workers to others. A job that has used up its deliveries is dead, unless a worker of this
    /// library may have a handler for that.
    async fn reap(&self, line: &Line) -> Result<(), BrokerError> {
        loop {
            let reaped = line.answers.reap(self.queue.config().max_deliveries, self.lease).await?;
            let ReapResult { requeued, dead, lost } = reaped;
            let found = requeued + dead.len() as u64;
            if requeued > 0 {
                warn!(jobs = requeued, queue = line.name, "leases or delays ran out: their jobs are delivered again");
            }
            metrics::counter!("gristmill_leases_expired_total").increment(lost.len() as u64);
            self.record_lost(&lost).await;
            for lease in dead {
                self.record_lost(&lease.failed_deliveries.lost(&lease.id)).await;
                if let Err(error) = self.bury(line, &lease).await {
                    // Its lease ends, and it is found again.
                    warn!(job = lease.id, error = chain(&error), "storing a dead letter failed; it is tried again");
                }
            }
            if found < REAP_BATCH_SIZE {
                return Ok(());
            }
        }
    }

    /// Lines of the history. What fails here is recorded by whoever gets the job next.
    pub(super) async fn record_lost(&self, lost: &[LostDelivery]) {
        if lost.is_empty() {
            return;
        }
        if let Err(error) = remember_lost(&self.queue, lost).await {
            debug!(%error, "recording lost deliveries failed; who gets the jobs next records them");
        }
    }

    async fn bury(&self, line: &Line, lease: &Lease) -> Result<(), QueueError> {
        let Ok(id) = lease.id.parse::<JobId>() else { return Ok(()) };
        let envelope: Option<Envelope<'_>> = serde_json::from_slice(&lease.payload).ok();
        if let Some(envelope) = &envelope {
            let workers = self.roster.seen(&self.queue, known::MAX_LIST_AGE).await?;
            let wanted = known::Wanted::of(envelope);
            let mut local = workers.iter().filter(|worker| worker.language.is_none());
            if local.any(|worker| known::reads(worker, &line.name, &wanted)) {
                return Ok(());
            }
        }
        let deliveries = lease.failed_deliveries.count() as u64;
        let verdict = Verdict::lost(deliveries);
        let run = Run { delivery: deliveries, ..Run::default() };
        self.settle(vec![Settle { id, verdict, run: Some(run) }]).await?;
        count(&line.name, envelope.as_ref().map_or("", |envelope| &envelope.name), "dead");
        line.answers.ack(&[(lease.id.clone(), lease.number)]).await?;
        Ok(())
    }

    /// Writes verdicts down, and pushes what became due by them.
    pub(super) async fn settle(&self, verdicts: Vec<Settle>) -> Result<Vec<(JobId, fail::SettledState)>, QueueError> {
        if verdicts.is_empty() {
            return Ok(Vec::new());
        }
        self.settle_as(&self.queue.config().version, verdicts).await
    }

    /// The same, and `reader` is who parks: see `run::known`.
    pub(super) async fn settle_as(
        &self,
        reader: &str,
        mut verdicts: Vec<Settle>,
    ) -> Result<Vec<(JobId, fail::SettledState)>, QueueError> {
        verdicts.sort_unstable_by_key(|settle| settle.id);
        fail::settle_alone(&self.queue, reader, &verdicts).await
    }
}

/// Looks after a queue until no remote worker has spoken of it for long.
async fn keep(inner: Weak<Inner>, line: Arc<Line>, lease: Duration) {
    loop {
        tokio::time::sleep(reaper::pause(lease)).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = inner.reap(&line).await {
            debug!(%error, queue = line.name, "the broker does not say which leases have run out; retrying");
        }
        let mut lines = lock(&inner.lines);
        if lock(&line.used).elapsed() > KEPT {
            lines.remove(&line.name);
            return;
        }
    }
}
