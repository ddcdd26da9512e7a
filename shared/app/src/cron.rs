//! What is said of a schedule.

use std::time::Duration;

use gristmill_queue::{CatchUp, Job, JobSpec, NewSchedule, Overlap, QueueError};
use jiff::Timestamp;

use crate::Error;

/// Of one schedule: which job, by whose clock, and what becomes of missed ticks. See [`App::cron`](crate::App::cron).
#[derive(Debug)]
#[must_use]
pub struct CronOptions {
    name: String,
    expression: String,
    zone: String,
    catch_up: CatchUp,
    overlap: Overlap,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    jitter: Duration,
    order_key: Option<String>,
    job: Option<Result<JobSpec, QueueError>>,
}

impl CronOptions {
    pub(crate) fn new(name: String, expression: String) -> Self {
        Self {
            name,
            expression,
            zone: "UTC".into(),
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
            starts_at: None,
            ends_at: None,
            jitter: Duration::ZERO,
            order_key: None,
            job: None,
        }
    }

    /// The job of each tick. Its handler can take a [`Tick`](crate::Tick).
    pub fn job<J: Job>(mut self, job: &J) -> Self {
        self.job = Some(JobSpec::of(job));
        self
    }

    /// Whose clock counts: a name of the IANA database, such as `America/Sao_Paulo`. UTC, unless given.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// What becomes of ticks that no process was there for: the last of them runs, unless given.
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// What a tick does while the job of the one before has not ended: with [`Overlap::Skip`] it is skipped. It fires, unless given.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// No tick is before this time.
    pub fn starts_at(mut self, time: Timestamp) -> Self {
        self.starts_at = Some(time);
        self
    }

    /// No tick is after this time: then the schedule is over.
    pub fn ends_at(mut self, time: Timestamp) -> Self {
        self.ends_at = Some(time);
        self
    }

    /// Its jobs run one at a time and in order, also with others of this key: see [`Enqueue::order_key`](crate::Enqueue::order_key).
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.order_key = Some(key.into());
        self
    }

    /// The job starts up to so much later than the tick, always as much for the same tick. In whole seconds.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// The schedule to be made, or why it cannot be.
    pub(crate) fn into_schedule(self) -> Result<NewSchedule, Error> {
        let Self { name, expression, zone, catch_up, overlap, starts_at, ends_at, jitter, order_key, job } = self;
        let ordered = |job: JobSpec| match order_key {
            Some(key) => job.order_key(key),
            None => job,
        };
        match job.map(|job| job.map(ordered)) {
            Some(Ok(job)) => Ok(NewSchedule {
                time_zone: zone,
                catch_up,
                overlap,
                starts_at,
                ends_at,
                jitter_seconds: u32::try_from(jitter.as_secs()).unwrap_or(u32::MAX),
                ..NewSchedule::new(&name, expression, job)
            }),
            Some(Err(error)) => Err(Error::Schedule { name, source: error.into() }),
            None => Err(Error::Nothing("a schedule has no job: write `.cron(name, expression, |c| c.job(&…))`")),
        }
    }
}
