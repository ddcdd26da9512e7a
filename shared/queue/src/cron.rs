//! Jobs by the clock. Schedules and their ticks are rows in Postgres: any number of schedulers may run, none leads.

mod calendar;
mod expression;
mod plan;
#[cfg(test)]
mod tests;
mod ticks;

pub use expression::CronError;
pub use plan::{CatchUp, Cause, Overlap};

pub(crate) use ticks::Ticks;

use std::{pin::pin, time::Duration};

use apalis_cron::{CronScheduler, Schedule, Tick, timezone::Utc};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::{
    Enqueued, JobId, Queue, QueueError,
    envelope::JobRow,
    ledger::{
        relay,
        schedules::{self, Dealt, DueSchedule, NewTick},
    },
};
use plan::{Plan, jitter, plan};

/// Fires schedules. Make them by [`Queue::schedules`].
pub struct Cron {
    queue: Queue,
}

/// What [`Cron::fire`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickCounts {
    /// Ticks that became jobs.
    pub fired: u64,
    /// Ticks that were written down as missed.
    pub missed: u64,
}

/// Schedules that one transaction deals with.
const BATCH_SIZE: i64 = 100;
/// Another scheduler is at it; or this one cannot read a schedule, and a newer one may.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(50);
const UNREADABLE_RETRY_DELAY: SignedDuration = SignedDuration::from_secs(5);

impl Cron {
    /// For all schedules of this queue's ledger.
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        Self { queue: queue.clone() }
    }

    /// Fires what is due until `shutdown`. No fault of an engine ends it.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let pause = match self.pass().await {
                Ok(pause) => pause,
                Err(error) => {
                    warn!(error = gristmill_core::chain(&error), "reading the schedules failed; retrying");
                    Duration::from_millis(500)
                }
            };
            tokio::select! {
                () = second() => {}
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Everything that is due at this moment, by Postgres' clock.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn fire(&self) -> Result<TickCounts, QueueError> {
        let mut all = TickCounts::default();
        loop {
            let (schedules, fired) = self.fire_some().await?;
            all.fired += fired.fired;
            all.missed += fired.missed;
            if schedules == 0 {
                return Ok(all);
            }
        }
    }

    /// Fires, and says how long there is nothing to do.
    async fn pass(&self) -> Result<Duration, QueueError> {
        match schedules::until_next(self.queue.schema(), self.queue.pool()).await? {
            Some(Duration::ZERO) => {}
            next => return Ok(next.unwrap_or(Duration::MAX)),
        }
        let fired = self.fire().await?;
        Ok(if fired == TickCounts::default() { LOCK_RETRY_DELAY } else { Duration::ZERO })
    }

    /// One transaction. Returns how many schedules it looked at.
    async fn fire_some(&self) -> Result<(usize, TickCounts), QueueError> {
        let mut tx = self.queue.pool().begin().await?;
        let due = schedules::lock_due(self.queue.schema(), &mut tx, BATCH_SIZE).await?;
        if due.is_empty() {
            return Ok((0, TickCounts::default()));
        }
        let (mut ticks, mut dealt) = (Vec::new(), Vec::with_capacity(due.len()));
        for schedule in &due {
            let (owed, done) = owed(schedule);
            ticks.extend(owed);
            dealt.push(done);
        }
        let (causes, jobs) = schedules::record(self.queue.schema(), &mut tx, &ticks).await?;
        schedules::deal(self.queue.schema(), &mut tx, &dealt).await?;
        tx.commit().await?;
        push(&self.queue, &jobs).await;

        let now = Timestamp::now();
        for tick in ticks.iter().filter(|tick| tick.cause == Cause::Due) {
            metrics::histogram!("gristmill_cron_lag_seconds")
                .record(now.duration_since(tick.fire_at).as_secs_f64().max(0.0));
        }
        for cause in &causes {
            metrics::counter!("gristmill_cron_ticks_total", "cause" => <&str>::from(cause)).increment(1);
        }
        debug!(schedules = due.len(), jobs = jobs.len(), "schedules fired");
        Ok((due.len(), TickCounts { fired: jobs.len() as u64, missed: (causes.len() - jobs.len()) as u64 }))
    }
}

/// Hands those that start at once to the broker. What this fails to push is found by the sweep.
pub(crate) async fn push(queue: &Queue, jobs: &[JobId]) {
    if jobs.is_empty() {
        return;
    }
    match relay::rows(queue.schema(), queue.pool(), jobs).await {
        Ok(rows) => {
            let messages = rows.into_iter().map(JobRow::into_message).collect();
            queue.push(Enqueued { ids: jobs.to_vec(), messages, ..Enqueued::default() }).await;
        }
        Err(error) => warn!(%error, "reading the jobs of a tick failed; the sweep will push them"),
    }
}

/// The ticks of a schedule since it was last looked at.
fn owed(schedule: &DueSchedule) -> (Vec<NewTick>, Dealt) {
    let (since, now) = (schedule.ticked_until.to_jiff(), schedule.now.to_jiff());
    let name = &schedule.name;
    let dealt = |ticked_until, next_at| Dealt { schedule: name.clone(), ticked_until, next_at };
    let bounds = [schedule.starts_at, schedule.ends_at].map(|at| at.map(jiff_sqlx::Timestamp::to_jiff));
    let ticks_of = match TimeZone::get(&schedule.time_zone) {
        Ok(zone) => Ticks::of(&schedule.cron, zone, bounds[0], bounds[1]),
        Err(error) => return (Vec::new(), unreadable(&error, dealt(since, Some(now + UNREADABLE_RETRY_DELAY)))),
    };
    let ticks_of = match ticks_of {
        Ok(ticks_of) => ticks_of,
        Err(error) => return (Vec::new(), unreadable(&error, dealt(since, Some(now + UNREADABLE_RETRY_DELAY)))),
    };
    let Plan { ticks, until, next } = plan(&ticks_of, schedule.catch_up, since, now);
    let ticks = if schedule.overlap == Overlap::Skip { one_at_a_time(ticks, schedule.busy) } else { ticks };
    let tick = |(fire_at, cause)| NewTick {
        schedule: name.clone(),
        fire_at,
        cause,
        run_at: (!matches!(cause, Cause::Missed | Cause::Skipped))
            .then(|| fire_at + jitter(name, fire_at, schedule.jitter_seconds)),
    };
    (ticks.into_iter().map(tick).collect(), dealt(until, next))
}

/// Of the ticks that would fire, the last one does, and that only if nothing runs.
fn one_at_a_time(mut ticks: Vec<(Timestamp, Cause)>, busy: bool) -> Vec<(Timestamp, Cause)> {
    let fires = |(_, cause): &&mut (Timestamp, Cause)| *cause != Cause::Missed;
    for (_, cause) in ticks.iter_mut().rev().filter(fires).skip(usize::from(!busy)) {
        *cause = Cause::Skipped;
    }
    ticks
}

/// Written by a newer binary, perhaps: nothing of it is lost, it is only put off.
fn unreadable(error: &dyn std::error::Error, dealt: Dealt) -> Dealt {
    error!(schedule = dealt.schedule, %error, "this binary cannot read the schedule");
    dealt
}

/// Waits until the next second begins. New and changed schedules are seen then; those that are known already are waited
/// for by Postgres' clock. A tick is all that apalis-cron is asked for, and each time anew: what it does beyond one tick
/// depends on a machine's clock, and on being asked in time.
async fn second() {
    let ticks = CronScheduler::new(EverySecond).into_stream();
    pin!(ticks).next().await;
}

struct EverySecond;

impl Schedule<Utc> for EverySecond {
    fn next_tick(&mut self, _: &Utc) -> Option<Tick<Utc>> {
        u64::try_from(Timestamp::now().as_second() + 1).ok().map(Tick::new)
    }
}
