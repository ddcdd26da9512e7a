//! From the ledger to the broker, whatever happened in between.

mod leftovers;
mod old_layout;
mod refill;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::{
    JobId, Queue, QueueError,
    envelope::{enqueued, now_millis},
    ledger::relay,
};
use leftovers::Leftovers;
use old_layout::OldLayout;
use refill::Refill;

/// Makes scheduled jobs available when they are due, pushes again what the broker should know and does not (after a
/// crash between commit and push, and after a loss of Redis' data), and takes out of it what nobody is to do any more.
/// Any number may run.
pub struct Sweeper {
    queue: Queue,
    cursor: JobId,
    healed: Option<Instant>,
    refill: Refill,
    refilled: Instant,
    leftovers: Leftovers,
    old_layout: OldLayout,
}

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Scheduled jobs that became due.
    pub promoted: u64,
    /// Waiting jobs that the broker did not know.
    pub healed: u64,
}

const PAGE_SIZE: i64 = 1_000;
/// As long as jobs wait outside the broker.
const REFILL_INTERVAL: Duration = Duration::from_millis(200);
/// A push is surely over, or lost, after this.
const PUSH_TIMEOUT: Duration = Duration::from_secs(2);
const HEAL_INTERVAL: Duration = Duration::from_secs(1);
/// Time a tick gives to each of its two scans, whatever the backlog.
const TIME_BUDGET: Duration = Duration::from_millis(40);
/// Jobs younger than this are looked at in every tick.
const RECENT_AGE: SignedDuration = SignedDuration::from_secs(30);

impl Sweeper {
    /// A sweeper of all queues.
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        Self {
            queue: queue.clone(),
            cursor: JobId::from(Uuid::nil()),
            healed: None,
            refill: Refill::default(),
            refilled: Instant::now(),
            leftovers: Leftovers::default(),
            old_layout: OldLayout::default(),
        }
    }

    /// Sweeps until `shutdown`. No fault of an engine ends it.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let pause = match self.tick().await {
                Ok(pause) => pause,
                Err(error) => {
                    warn!(error = gristmill_core::chain(&error), "the sweep failed; trying again");
                    Duration::from_millis(500)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// One whole sweep: everything due, everything unknown to the broker, however fresh.
    ///
    /// # Errors
    /// Returns an error if Postgres or Redis does not answer, or a statement fails.
    pub async fn sweep(&mut self) -> Result<SweepReport, QueueError> {
        self.queue.restore_limits().await?;
        let promoted = self.promote().await?;
        let healed = self.heal_all(Duration::ZERO).await?;
        self.refill().await?;
        self.queue.tell_drains().await?;
        self.begin_epoch().await?;
        Ok(SweepReport { promoted, healed })
    }

    async fn tick(&mut self) -> Result<Duration, QueueError> {
        let heals = self.healed.is_none_or(|healed| healed.elapsed() >= HEAL_INTERVAL);
        if heals {
            self.healed = Some(Instant::now());
            // Before any push: a paused queue that forgot it would start.
            self.queue.restore_limits().await?;
        }
        self.promote().await?;
        if heals {
            if self.has_no_epoch().await? {
                self.queue.restore_limits().await?;
                let healed = self.heal_all(Duration::ZERO).await?;
                // Only now: who dies before leaves the rest to whoever looks next.
                self.begin_epoch().await?;
                info!(jobs = healed, "the broker had lost its data: everything that waits was pushed again");
            } else {
                self.queue.cancel_overdue().await?;
                self.queue.tell_drains().await?;
                self.heal_pages().await?;
                self.leftovers.look(&self.queue).await?;
                self.old_layout.expire(&self.queue).await?;
            }
        }
        let longest = if self.refill().await? { REFILL_INTERVAL } else { Duration::from_millis(500) };
        let due = relay::until_next_due(self.queue.pool()).await?;
        Ok(due.unwrap_or(Duration::MAX).clamp(Duration::from_millis(5), longest))
    }

    /// Whether some wait outside the broker.
    async fn refill(&mut self) -> Result<bool, QueueError> {
        let left = self.refill.round(&self.queue).await?;
        self.refilled = Instant::now();
        Ok(left)
    }

    async fn promote(&self) -> Result<u64, QueueError> {
        let mut promoted = 0;
        loop {
            let rows = relay::promote_due(self.queue.pool(), PAGE_SIZE).await?;
            let n = rows.len();
            promoted += n as u64;
            if let Some(first) = rows.iter().map(|row| row.due).min() {
                metrics::histogram!("gristmill_relay_lag_seconds")
                    .record((now_millis() - first).max(0) as f64 / 1_000.0);
            }
            // What this fails to push is found by the scan.
            self.queue.push(enqueued(rows)).await;
            if (n as i64) < PAGE_SIZE {
                return Ok(promoted);
            }
        }
    }

    fn epoch_key(&self) -> String {
        format!("{{{}}}:epoch", crate::redis::versioned(&self.queue.config().namespace))
    }

    /// Which is how the broker tells that its data is gone, and not all of it pushed again.
    async fn has_no_epoch(&self) -> Result<bool, QueueError> {
        ::redis::cmd("EXISTS")
            .arg(self.epoch_key())
            .query_async::<bool>(&mut self.queue.conn())
            .await
            .map(|exists| !exists)
            .map_err(QueueError::BrokerUnavailable)
    }

    async fn begin_epoch(&self) -> Result<(), QueueError> {
        ::redis::cmd("SET")
            .arg(self.epoch_key())
            .arg(Uuid::new_v4().to_string())
            .arg("NX")
            .query_async::<Option<String>>(&mut self.queue.conn())
            .await
            .map(drop)
            .map_err(QueueError::BrokerUnavailable)
    }

    /// The recent jobs, and some of the others: the cursor comes round.
    async fn heal_pages(&mut self) -> Result<(), QueueError> {
        let recent = (Timestamp::now() - RECENT_AGE).as_millisecond().unsigned_abs();
        let mut head = JobId::from(Uuid::from_u128(u128::from(recent) << 80));
        let started = Instant::now();
        while let Some(last) = self.heal_page(head, PUSH_TIMEOUT).await?.1 {
            head = last;
            if started.elapsed() > TIME_BUDGET {
                break;
            }
        }
        let started = Instant::now();
        loop {
            match self.heal_page(self.cursor, PUSH_TIMEOUT).await?.1 {
                Some(last) => self.cursor = last,
                None => {
                    self.cursor = JobId::from(Uuid::nil());
                    return Ok(());
                }
            }
            if started.elapsed() > TIME_BUDGET {
                return Ok(());
            }
        }
    }

    async fn heal_all(&mut self, age: Duration) -> Result<u64, QueueError> {
        let (mut cursor, mut healed) = (JobId::from(Uuid::nil()), 0);
        loop {
            // A long backlog takes long to look through, and its first jobs are done by then.
            if self.refilled.elapsed() >= REFILL_INTERVAL {
                self.refill().await?;
            }
            let (n, last) = self.heal_page(cursor, age).await?;
            healed += n;
            match last {
                Some(last) => cursor = last,
                None => return Ok(healed),
            }
        }
    }

    /// Pushes what the broker does not know of the page after `cursor`. Returns how many, and where the next
    /// page starts, if there may be one.
    async fn heal_page(&self, cursor: JobId, age: Duration) -> Result<(u64, Option<JobId>), QueueError> {
        let page = relay::available_after(self.queue.pool(), cursor, age, PAGE_SIZE).await?;
        let next = page.last().filter(|_| page.len() as i64 == PAGE_SIZE).map(|(id, ..)| *id);
        let mut queues: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
        for (id, queue, old) in page {
            if old {
                queues.entry(queue).or_default().push(id);
            }
        }
        let mut unknown = Vec::new();
        for (queue, ids) in queues {
            let texts: Vec<String> = ids.iter().map(JobId::to_string).collect();
            let known = self
                .queue
                .broker(&queue)
                .known(&mut self.queue.conn(), &texts)
                .await
                .map_err(QueueError::BrokerUnavailable)?;
            unknown.extend(ids.into_iter().zip(known).filter(|(_, known)| !known).map(|(id, _)| id));
        }
        if unknown.is_empty() {
            return Ok((0, next));
        }
        // Asked again: what finished while we looked is not pushed.
        let rows = relay::rows_not_waiting(self.queue.pool(), &unknown).await?;
        let healed = self.queue.try_push(enqueued(rows).messages).await?;
        if healed > 0 {
            debug!(jobs = healed, "pushed what the broker did not know");
            metrics::counter!("gristmill_relay_healed_total").increment(healed);
        }
        Ok((healed, next))
    }
}
