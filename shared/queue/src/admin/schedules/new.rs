//! What a schedule may be.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{CatchUp, CronError, JobSpec, Overlap, QueueError, codec::Intake, cron::Ticks};

/// What a schedule is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Letters, digits and `. _ - :`, at most 100 of them.
    pub name: String,
    /// `minute hour day month weekday`, with a field for seconds before them if wanted, or `@daily` and the like; or `@at` and
    /// a time, at which it fires once: [`NewSchedule::once`].
    pub cron: String,
    /// Whose clocks count: a name of the IANA database.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// What becomes of ticks that no scheduler was there for.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// What a tick does while the job of the one before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// Jobs start up to this much later than the tick: always as much for the same tick.
    #[serde(default)]
    pub jitter_seconds: u32,
    /// No tick is before this time.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// No tick is after this time. Then it is over, and goes when what it has done is pruned.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// What to do. It belongs to no trace: every tick is the start of its own.
    pub job: JobSpec,
}

fn utc() -> String {
    "UTC".into()
}

impl NewSchedule {
    /// In UTC, without jitter; of missed ticks the last one runs.
    #[must_use]
    pub fn new(name: impl Into<String>, cron: impl Into<String>, job: JobSpec) -> Self {
        let (name, cron, time_zone) = (name.into(), cron.into(), utc());
        Self {
            name,
            cron,
            time_zone,
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
            jitter_seconds: 0,
            starts_at: None,
            ends_at: None,
            job,
        }
    }

    /// At that time, once. After it the schedule is over: it is kept, with its tick, as long as finished jobs are.
    #[must_use]
    pub fn once(name: impl Into<String>, at: Timestamp, job: JobSpec) -> Self {
        Self::new(name, format!("@at {at}"), job)
    }
}

/// Why something cannot be done with a schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The name is empty, too long, or has other characters than it may have.
    #[error("`{0}` is no name for a schedule: it takes 1 to 100 letters, digits, `.`, `_`, `-` and `:`")]
    Name(String),
    /// The cron expression.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// The time zone.
    #[error("`{0}` is no time zone of the IANA database, like `America/Sao_Paulo`")]
    UnknownZone(String),
    /// The jitter.
    #[error("a jitter of {0} seconds is too long: a day is the most")]
    Jitter(u32),
    /// Its bounds.
    #[error("it starts at {starts_at} and ends at {ends_at}, which is before that")]
    Bounds {
        /// No tick is before it.
        starts_at: Timestamp,
        /// No tick is after it.
        ends_at: Timestamp,
    },
    /// All its ticks would have been in the past.
    #[error("the schedule `{0}` would be over: no tick of it is to come")]
    Over(String),
    /// The job.
    #[error("the job's {field} {problem}")]
    Job {
        /// `name`, `queue`, `priority` or `max_attempts`.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is none of this name.
    #[error("there is no schedule `{0}`")]
    NotFound(String),
    /// The ledger failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<sqlx::Error> for ScheduleError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

const MAX_NAME_LENGTH: usize = 100;
const MAX_JITTER_SECONDS: u32 = 24 * 3_600;

/// Its ticks and its time zone, if all of it is well.
pub(super) fn check(new: &NewSchedule, intake: Intake<'_>) -> Result<(Ticks, TimeZone), ScheduleError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if new.name.is_empty() || new.name.len() > MAX_NAME_LENGTH || !new.name.chars().all(fits) {
        return Err(ScheduleError::Name(new.name.clone()));
    }
    if new.jitter_seconds > MAX_JITTER_SECONDS {
        return Err(ScheduleError::Jitter(new.jitter_seconds));
    }
    let job = &new.job;
    for (field, wrong, problem) in [
        ("name", job.name.is_empty(), "is empty"),
        ("queue", job.queue.is_empty(), "is empty"),
        ("priority", job.priority > 9, "is more than 9"),
        ("max_attempts", job.max_attempts == 0, "is zero"),
    ] {
        if wrong {
            return Err(ScheduleError::Job { field, problem });
        }
    }
    job.check(intake)?;
    if let (Some(starts_at), Some(ends_at)) = (new.starts_at, new.ends_at)
        && ends_at < starts_at
    {
        return Err(ScheduleError::Bounds { starts_at, ends_at });
    }
    let zone = zone(&new.time_zone)?;
    Ok((Ticks::of(&new.cron, zone.clone(), new.starts_at, new.ends_at)?, zone))
}

pub(super) fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| ScheduleError::UnknownZone(name.into()))
}
