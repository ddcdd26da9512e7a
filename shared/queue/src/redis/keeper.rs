//! Keeps a queue's leases alive, on the thread that all queues share for that. Also the heartbeat, and the reaper of
//! other workers' leases.

use std::{sync::Arc, time::Duration};

use ::redis::{RedisResult, aio::ConnectionManager};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use uuid::Uuid;

use super::{
    Broker, DeadLetter, DeadLetterSink, LineView, Process, DeadLetterReason, Roster,
    acks::{record_lost, store_dead_letter},
    broker::Reaped,
    fetch::Claims,
    links::LeaseThread,
    roster::Told,
    usage,
};

pub(super) struct Keeper {
    pub(super) broker: Broker,
    pub(super) claims: Arc<Claims>,
    pub(super) dead_letters: Arc<dyn DeadLetterSink>,
    pub(super) lease: Duration,
    pub(super) max_deliveries: u32,
    pub(super) roster: Roster,
    pub(super) process: Process,
    pub(super) label: String,
    pub(super) version: String,
    pub(super) queue: String,
    pub(super) concurrency: usize,
    pub(super) thread: Arc<LeaseThread>,
    /// No more claims: what a drain asks for.
    pub(super) stop: CancellationToken,
    pub(super) end: CancellationToken,
}

const HEARTBEAT: Duration = Duration::from_secs(2);
/// Jobs that a heartbeat names.
const NAMED: usize = 100;

impl Keeper {
    /// Begins, on the thread; caller run on the caller's runtime.
    pub(super) fn start(self) {
        let (handle, caller) = (self.thread.handle.clone(), Handle::current());
        handle.spawn(self.run(caller));
    }

    async fn run(self, caller: Handle) {
        let link = self.thread.link.clone();
        let line = Uuid::new_v4();
        let host = usage::host();
        let renewal = self.lease / 3;
        let reaping = (self.lease / 6).min(Duration::from_millis(500));
        let (mut renewed, mut reaped, mut kept) = (Instant::now(), Instant::now(), Instant::now());
        let mut heard: Option<Instant> = None;
        let mut told_stopping = false;
        loop {
            tokio::select! {
                () = self.end.cancelled() => break,
                () = tokio::time::sleep(reaping.min(renewal)) => {}
            }
            if renewed.elapsed() + reaping / 2 >= renewal {
                // Before the call: a slow one must not put off the next.
                renewed = Instant::now();
                if tell(self.renew(&mut link.conn()).await).is_some() {
                    kept = renewed;
                    self.claims.set_kept(renewed.into_std());
                }
            }
            if reaped.elapsed() >= reaping {
                reaped = Instant::now();
                tell(self.reap(&mut link.conn(), &caller).await);
            }
            // That it takes no more jobs is said at once: somebody may wait for it to be so.
            let stopping = self.takes_no_more();
            if heard.is_none_or(|heard| heard.elapsed() >= HEARTBEAT) || stopping != told_stopping {
                (heard, told_stopping) = (Some(Instant::now()), stopping);
                tell(self.beat(&mut link.conn(), &line, host.as_deref(), kept.elapsed()).await);
            }
            if self.process.drain().is_cancelled() {
                self.stop.cancel();
            }
        }
        let mut conn = link.conn();
        let farewell = self.roster.farewell(&mut conn, self.process.id(), &line);
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }

    /// Asked to drain, or told to stop: what it has it finishes.
    fn takes_no_more(&self) -> bool {
        self.stop.is_cancelled() || self.process.drain().is_cancelled()
    }

    async fn beat(
        &self,
        conn: &mut ConnectionManager,
        line: &Uuid,
        host: Option<&str>,
        lease_age: Duration,
    ) -> RedisResult<()> {
        let (memory_bytes, cpu) = self.process.usage();
        let told = Told {
            label: self.label.clone(),
            version: self.version.clone(),
            pid: std::process::id(),
            host: host.map(Into::into),
            draining: self.takes_no_more(),
            unwell: self.process.unwell(),
            memory_bytes,
            cpu,
        };
        let (held, running) = self.claims.running(NAMED);
        let view = LineView::new(&self.queue, self.concurrency, lease_age, held, running);
        let mut heard = self.roster.beat(conn, self.process.id(), &told, (line, &view), None).await?;
        if !heard.knows {
            // The first heartbeat, or the first one after Redis has lost its data.
            let knows = self.process.knows();
            heard = self.roster.beat(conn, self.process.id(), &told, (line, &view), Some(&knows)).await?;
            self.process.set_heard();
        }
        if heard.drain && !self.process.drain().is_cancelled() {
            info!(worker = %self.process.id(), "this worker was asked to drain: it takes no more jobs");
            self.process.drain().cancel();
            return Box::pin(self.beat(conn, line, host, lease_age)).await;
        }
        Ok(())
    }

    async fn renew(&self, conn: &mut ConnectionManager) -> RedisResult<()> {
        let overtaken = std::mem::take(&mut *self.claims.overtaken());
        if !overtaken.is_empty() {
            self.broker.renew(conn, self.lease, &overtaken).await?;
        }
        let held = self.claims.held();
        if held.is_empty() {
            return Ok(());
        }
        let lost = self.broker.renew(conn, self.lease, &held).await?;
        metrics::counter!("gristmill_lease_renewals_total").increment((held.len() - lost.len()) as u64);
        if !lost.is_empty() {
            warn!(jobs = lost.len(), "leases were lost: this process was slower than they last");
            metrics::counter!("gristmill_leases_lost_total").increment(lost.len() as u64);
            self.claims.lose(&lost);
        }
        Ok(())
    }

    async fn reap(&self, conn: &mut ConnectionManager, caller: &Handle) -> RedisResult<()> {
        loop {
            let Reaped { back, worn_out, lost } = self.broker.reap(conn, self.max_deliveries, self.lease).await?;
            let found = back + worn_out.len() as u64;
            if back > 0 {
                warn!(jobs = back, "leases or delays ran out: their jobs are delivered again");
            }
            if !lost.is_empty() {
                metrics::counter!("gristmill_leases_expired_total").increment(lost.len() as u64);
                caller.spawn(record_lost(Arc::clone(&self.dead_letters), lost));
            }
            for lease in worn_out {
                let reason = DeadLetterReason::LostWorker { deliveries: lease.strikes.count() as u64 };
                let lost = lease.strikes.lost(&lease.id);
                let job = DeadLetter { id: lease.id, payload: lease.payload, reason };
                let (claims, dead_letters) = (Arc::clone(&self.claims), Arc::clone(&self.dead_letters));
                caller.spawn(async move {
                    record_lost(Arc::clone(&dead_letters), lost).await;
                    store_dead_letter(claims, dead_letters, job, lease.number).await;
                });
            }
            if found < 100 {
                return Ok(());
            }
        }
    }
}

fn tell<T>(result: RedisResult<T>) -> Option<T> {
    result.inspect_err(|error| debug!(%error, "the broker does not answer the lease keeper")).ok()
}
