//! How a job is enqueued.

use std::time::Duration;

use gristmill_core::ClientId;
use jiff::Timestamp;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use tracing::warn;

use crate::{GroupId, JobId, JobState};

/// How to enqueue, where it differs from the job's own consts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Not before this time.
    pub run_at: Option<Timestamp>,
    /// So long after `run_at`, or after now by Postgres' clock.
    pub delay: Option<Duration>,
    /// 0 is the most urgent, 9 the least.
    pub priority: Option<u8>,
    /// As a member of this group.
    pub group: Option<GroupId>,
    /// Do nothing when a job with this key is waiting already. Of many jobs enqueued at once, one gets in.
    pub unique_key: Option<String>,
    /// On behalf of this client.
    pub client_id: Option<ClientId>,
    /// Whose turn it takes: jobs of one queue and priority take turns by this key. The client, unless given.
    pub fair_key: Option<String>,
    /// Jobs with this key run one at a time, in the order in which they were enqueued: one that is tried again, or waits for its
    /// time, holds back those behind it until it has ended. All queues and jobs share the keys.
    pub order_key: Option<String>,
    /// As `unique_key`, for a time or in other states. Beside a `unique_key`, both must be free.
    pub unique: Option<Unique>,
    /// What a job does to the one that waits with its `unique_key`, or that holds its `unique`.
    pub unique_mode: UniqueMode,
    /// The W3C `traceparent` that each of the jobs follows, in their order: where there is none, what enqueues it
    /// ([`crate::trace::current`]).
    pub trace_parents: Vec<Option<String>>,
    /// Failed attempts until the job is dead.
    pub max_attempts: Option<u16>,
    /// The queue it waits in.
    pub queue: Option<String>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// A job that has not started so long after it became due is cancelled in place of being run.
    pub expires_in: Option<Duration>,
    /// How long to wait between attempts.
    pub backoff: Option<Backoff>,
    /// How long it is kept when it has ended.
    pub retain: Option<Duration>,
    /// Words to find it by.
    pub tags: Vec<String>,
}

/// How long a job waits after a failed attempt. In whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Backoff {
    /// As long each time.
    Fixed {
        /// The wait.
        #[serde(rename = "delay_ms", with = "millis")]
        #[cfg_attr(feature = "schema", schema(value_type = u64, example = 5_000))]
        delay: Duration,
    },
    /// Twice as long each time, with a quarter of jitter either way.
    Exponential {
        /// The first wait.
        #[serde(rename = "delay_ms", with = "millis")]
        #[cfg_attr(feature = "schema", schema(value_type = u64, example = 1_000))]
        delay: Duration,
        /// The longest one; an hour unless given.
        #[serde(rename = "limit_ms", with = "millis", default = "an_hour")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<u64>, example = 600_000))]
        limit: Duration,
    },
}

const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

fn an_hour() -> Duration {
    Duration::from_secs(3_600)
}

impl Backoff {
    /// As the ledger has it of this job. What does not decode is left aside, with a warning.
    pub(crate) fn of_ledger(job: JobId, json: Option<&str>) -> Option<Self> {
        let read = serde_json::from_str(json?);
        read.inspect_err(|error| warn!(%job, %error, "the job's backoff does not decode: it waits as if it had none"))
            .ok()
    }

    /// The wait after this failed attempt, from 1.
    ///
    /// Ten years at most, whatever it says: a time that Postgres cannot add would keep the job from being settled.
    #[must_use]
    pub fn after(self, attempt: u32) -> Duration {
        match self {
            Self::Fixed { delay } => delay.min(LONGEST),
            Self::Exponential { delay, limit } => {
                let exponential = delay.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(30)));
                exponential.min(limit).min(LONGEST).mul_f64(rand::rng().random_range(0.75..1.25))
            }
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// What a job does to the one that has its unique key. One that runs, or has ended, stays as it is in any case, and nothing is
/// enqueued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum UniqueMode {
    /// It stays as it is.
    #[default]
    Keep,
    /// One that waits takes the new payload and options. It keeps its time, unless the new one has a `run_at` or a `delay`.
    Replace,
    /// The same, and its start is put off anew: until the `delay` of the last one is over.
    Debounce,
}

/// A key that lets in one job. It is held by the job that was enqueued with it, during the window and while that job
/// is in one of the states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key; all queues and jobs share them.
    pub key: String,
    /// So long after the enqueue, whatever became of the job.
    pub window: Option<Duration>,
    /// While it is in one of these.
    pub states: Vec<JobState>,
}

impl Unique {
    /// Lets one in every `window`.
    pub fn within(key: impl Into<String>, window: Duration) -> Self {
        Self { key: key.into(), window: Some(window), states: Vec::new() }
    }

    /// Lets none in while one is in any of these states.
    pub fn while_in(key: impl Into<String>, states: impl Into<Vec<JobState>>) -> Self {
        Self { key: key.into(), window: None, states: states.into() }
    }
}
