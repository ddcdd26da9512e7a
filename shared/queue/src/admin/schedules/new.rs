//! What a schedule may be.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{CatchUp, CronError, JobSpec, QueueError, cron::Expression};

/// What a schedule is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Letters, digits and `. _ - :`, at most 100 of them.
    pub name: String,
    /// `minute hour day month weekday`, with a field for seconds before them if wanted, or `@daily` and the like.
    pub cron: String,
    /// Whose clocks count: a name of the IANA database.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// What becomes of ticks that no scheduler was there for.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Jobs start up to this much later than the tick: always as much for the same tick.
    #[serde(default)]
    pub jitter_seconds: u32,
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
        Self { name, cron, time_zone, catch_up: CatchUp::default(), jitter_seconds: 0, job }
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

/// What the expression and the zone say, if all of it is well.
pub(super) fn check(new: &NewSchedule, payload_limit: usize) -> Result<(Expression, TimeZone), ScheduleError> {
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
    job.check(payload_limit)?;
    Ok((Expression::parse(&new.cron)?, zone(&new.time_zone)?))
}

pub(super) fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| ScheduleError::UnknownZone(name.into()))
}
