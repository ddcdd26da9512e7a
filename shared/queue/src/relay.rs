//! From the ledger to the broker, whatever happened in between.

mod ended;
mod leftovers;
mod notifications;
mod old_layout;
mod refill;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::{
    JobId, Queue, QueueError,
    broker::Broker,
    envelope::{enqueued, now_millis},
    ledger::{flows, group_completion, limits, order, relay},
};
use ended::Ended;
use leftovers::Leftovers;
use old_layout::OldLayout;
use refill::Refill;

/// Makes scheduled jobs available when they are due, pushes again what the broker should know and does not (after a
/// crash between commit and push, and after a loss of the broker's data), and takes out of it what nobody is to do any more.
/// Any number may run.
pub struct Sweeper {
    queue: Queue,
    cursor: JobId,
    healed: Option<Instant>,
    /// When flows were last looked at.
    advanced: Option<Instant>,
    /// Postgres has said that something was done by SQL.
    is_woken: bool,
    refill: Refill,
    refilled: Instant,
    leftovers: Leftovers,
    ended: Ended,
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
/// Flows go on by themselves; what an older version has left behind may wait so long.
const ADVANCE_INTERVAL: Duration = Duration::from_secs(30);
/// Stages that are let go by one transaction, however many members they have.
const STAGES: i64 = 20;
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
            advanced: None,
            is_woken: false,
            refill: Refill::default(),
            refilled: Instant::now(),
            leftovers: Leftovers::default(),
            ended: Ended::default(),
            old_layout: OldLayout::default(),
        }
    }

    /// Sweeps until `shutdown`. No fault of an engine ends it.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (queue, wake) = (self.queue.clone(), Arc::new(Notify::new()));
        let heard = Arc::clone(&wake);
        let _listener =
            AbortOnDropHandle::new(tokio::spawn(async move { notifications::listen(&queue, &heard).await }));
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
                () = wake.notified() => self.is_woken = true,
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// One whole sweep: everything due, everything unknown to the broker, however fresh.
    ///
    /// # Errors
    /// Returns an error if Postgres or the broker does not answer, or a statement fails.
    pub async fn sweep(&mut self) -> Result<SweepReport, QueueError> {
        self.queue.hold_namespace().await?;
        self.queue.restore_limits().await?;
        self.open_gates().await?;
        self.close_groups().await?;
        self.advance_flows().await?;
        self.release_stages().await?;
        let promoted = self.promote().await?;
        let healed = self.heal_all(Duration::ZERO).await?;
        self.refill().await?;
        self.queue.tell_drains().await?;
        self.queue.broker().begin_epoch().await?;
        Ok(SweepReport { promoted, healed })
    }

    async fn tick(&mut self) -> Result<Duration, QueueError> {
        let heals = self.healed.is_none_or(|healed| healed.elapsed() >= HEAL_INTERVAL);
        if heals {
            self.healed = Some(Instant::now());
            self.queue.hold_namespace().await?;
            // Before any push: a paused queue that forgot it would start.
            self.queue.restore_limits().await?;
        }
        let is_woken = std::mem::take(&mut self.is_woken);
        let room_in = self.open_gates().await?;
        self.promote().await?;
        if heals || is_woken {
            self.close_groups().await?;
            self.release_stages().await?;
        }
        if heals {
            if !self.queue.broker().has_epoch().await? {
                self.queue.restore_limits().await?;
                let healed = self.heal_all(Duration::ZERO).await?;
                // Only now: who dies before leaves the rest to whoever looks next.
                self.queue.broker().begin_epoch().await?;
                info!(jobs = healed, "the broker had lost its data: everything that waits was pushed again");
            } else {
                self.queue.cancel_overdue().await?;
                self.queue.tell_drains().await?;
                if self.advanced.is_none_or(|advanced| advanced.elapsed() >= ADVANCE_INTERVAL) {
                    self.advance_flows().await?;
                }
                self.heal_pages().await?;
                self.tidy().await?;
            }
        }
        let longest = if self.refill().await? { REFILL_INTERVAL } else { Duration::from_millis(500) };
        let due = relay::until_next_due(self.queue.schema(), self.queue.pool()).await?;
        let next = due.into_iter().chain(room_in).min();
        Ok(next.unwrap_or(Duration::MAX).clamp(Duration::from_millis(5), longest))
    }

    /// Jobs whose turn it is, or that there is room for, are due. Returns when there may be room for more by a rate.
    async fn open_gates(&self) -> Result<Option<Duration>, QueueError> {
        let (schema, pool) = (self.queue.schema(), self.queue.pool());
        let (room_in, mut turns) = limits::call(schema, pool).await?;
        while turns {
            turns = order::give_turns(schema, pool, PAGE_SIZE).await? == PAGE_SIZE.unsigned_abs();
        }
        Ok(room_in)
    }

    /// What is in the broker and should not be.
    async fn tidy(&mut self) -> Result<(), QueueError> {
        match self.queue.broker() {
            Broker::Redis(redis) => {
                self.leftovers.look(&self.queue, &redis).await?;
                Ok(self.old_layout.expire(&redis).await?)
            }
            Broker::Postgres(postgres) => self.ended.look(&self.queue, &postgres).await,
        }
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
            let rows = relay::promote_due(self.queue.schema(), self.queue.pool(), PAGE_SIZE).await?;
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

    /// Stages whose turn has come.
    async fn release_stages(&self) -> Result<(), QueueError> {
        loop {
            let mut tx = self.queue.pool().begin().await?;
            let released = flows::release(self.queue.schema(), &mut tx, STAGES).await?;
            if released == 0 {
                return Ok(());
            }
            tx.commit().await?;
        }
    }

    /// Flows whose stages an older version has ended.
    async fn advance_flows(&mut self) -> Result<(), QueueError> {
        self.advanced = Some(Instant::now());
        let mut tx = self.queue.pool().begin().await?;
        let joins = group_completion::advance_overdue(self.queue.schema(), &mut tx, PAGE_SIZE).await?;
        tx.commit().await?;
        self.queue.push(joins).await;
        Ok(())
    }

    /// Groups whose last member was completed by SQL.
    async fn close_groups(&self) -> Result<(), QueueError> {
        loop {
            let mut tx = self.queue.pool().begin().await?;
            let (closed, joins) = group_completion::close_waiting(self.queue.schema(), &mut tx, PAGE_SIZE).await?;
            if closed == 0 {
                return Ok(());
            }
            tx.commit().await?;
            self.queue.push(joins).await;
        }
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
        let page = relay::available_after(self.queue.schema(), self.queue.pool(), cursor, age, PAGE_SIZE).await?;
        let next = page.last().filter(|_| page.len() as i64 == PAGE_SIZE).map(|(id, ..)| *id);
        let mut queues: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
        for (id, queue, old) in page {
            if old {
                queues.entry(queue).or_default().push(id);
            }
        }
        let mut unknown = Vec::new();
        for (queue, ids) in queues {
            let known = self.queue.broker_queue(&queue).known(&ids).await?;
            unknown.extend(ids.into_iter().zip(known).filter(|(_, known)| !known).map(|(id, _)| id));
        }
        if unknown.is_empty() {
            return Ok((0, next));
        }
        // Asked again: what finished while we looked is not pushed.
        let rows = relay::rows_not_waiting(self.queue.schema(), self.queue.pool(), &unknown).await?;
        let healed = self.queue.try_push(enqueued(rows).messages).await?;
        if healed > 0 {
            debug!(jobs = healed, "pushed what the broker did not know");
            metrics::counter!("gristmill_relay_healed_total").increment(healed);
        }
        Ok((healed, next))
    }
}
