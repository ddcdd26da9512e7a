//! What is shown of queues.

use serde::{Deserialize, Serialize};

use super::broker_sync::QueueRow;
use crate::{
    Depth, QueueError,
    broker::{Limits, Load},
};

/// A queue as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Jobs that are due and do not run.
    pub available: u64,
    /// Whether `available` was counted; else it is about right. Jobs are counted up to 10,000.
    #[serde(default = "counted")]
    pub available_exact: bool,
    /// Jobs that are not due yet.
    pub scheduled: u64,
    /// Whether `scheduled` was counted; else it is about right.
    #[serde(default = "counted")]
    pub scheduled_exact: bool,
    /// Jobs that run; none: the broker does not answer, and they are counted as available.
    pub running: Option<u64>,
    /// Age of the oldest unfinished job that is due, in seconds since it was.
    pub oldest_seconds: Option<f64>,
    /// No job of it is claimed.
    pub paused: bool,
    /// It runs what was due when somebody asked for that, and then pauses.
    pub draining: bool,
    /// What it is held to.
    pub limits: Limits,
    /// Deliveries acknowledged a second, over the last minute; none: the broker does not answer.
    pub acked_per_second: Option<f64>,
    /// Seconds until what is due now is done, if that goes on as in the last minute. Infinite when nothing was done in
    /// it; zero while paused, as more workers would not help; none: the broker does not answer.
    #[serde(with = "endless")]
    #[cfg_attr(feature = "schema", schema(schema_with = seconds_or_endless))]
    pub seconds_left: Option<f64>,
    /// Jobs that its workers take at a time, together.
    pub slots: usize,
}

/// Why limits were not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// It would keep every job for ever, is not a number, or more than the ledger counts.
    #[error("`{limit}` must be more than 0 and at most 2147483647{}", if *limit == "burst" { " and needs a rate" } else { "" })]
    Unusable {
        /// Which one.
        limit: &'static str,
    },
    /// A job is to take slots of a pool that is not there.
    #[error("there is no pool of slots `{pool}`: make it first")]
    NoPool {
        /// The pool.
        pool: String,
    },
    /// A job would never run.
    #[error("the pool `{pool}` is to have {slots} slots, and a job `{job}` takes {uses} of them: it could never run")]
    TooFewSlots {
        /// The pool.
        pool: String,
        /// Its slots.
        slots: u32,
        /// The job.
        job: String,
        /// What one of it takes.
        uses: u32,
    },
    /// A pool that is to go.
    #[error("jobs `{job}` take slots of the pool `{pool}`: let them use none of it first")]
    PoolInUse {
        /// The pool.
        pool: String,
        /// The job.
        job: String,
    },
    /// The ledger.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// One more than an `integer` of the ledger holds.
const LIMIT_BOUND: u32 = 1 << 31;

pub(in crate::admin) fn check(limits: &Limits) -> Result<(), LimitsError> {
    let unusable = |limit| Err(LimitsError::Unusable { limit });
    match limits {
        Limits { concurrency: Some(0 | LIMIT_BOUND..), .. } => unusable("concurrency"),
        Limits { key_concurrency: Some(0 | LIMIT_BOUND..), .. } => unusable("key_concurrency"),
        Limits { burst: Some(0 | LIMIT_BOUND..), .. } | Limits { burst: Some(_), rate_per_second: None, .. } => {
            unusable("burst")
        }
        Limits { rate_per_second: Some(rate), .. } if !(*rate > 0.0 && rate.is_finite()) => unusable("rate_per_second"),
        _ => Ok(()),
    }
}

impl QueueView {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            available: 0,
            available_exact: true,
            scheduled: 0,
            scheduled_exact: true,
            running: None,
            oldest_seconds: None,
            paused: false,
            draining: false,
            limits: Limits::default(),
            acked_per_second: None,
            seconds_left: None,
            slots: 0,
        }
    }

    pub(super) fn is_said(&mut self, row: &QueueRow) {
        (self.paused, self.draining, self.limits) = (row.paused, row.draining_at.is_some(), row.limits());
        self.seconds_left = self.running.and_then(|running| self.left(self.available + running));
    }

    pub(super) fn counts(&mut self, depth: &Depth) {
        let jobs = depth.jobs.unsigned_abs();
        match &*depth.state {
            "scheduled" => (self.scheduled, self.scheduled_exact) = (jobs, depth.exact),
            "available" => {
                (self.available, self.available_exact) = (jobs, depth.exact);
                self.oldest_seconds = Some(depth.oldest_seconds.max(0.0));
            }
            // What is dead or parked waits for somebody, not for its turn.
            _ => {}
        }
    }

    /// The ledger does not know what runs: to it that is available.
    pub(super) fn runs(&mut self, load: &Load) {
        let due = self.available;
        self.running = Some(load.running);
        self.available = due.saturating_sub(load.running);
        self.acked_per_second = Some(load.acked_per_second);
        self.seconds_left = self.left(due);
    }

    fn left(&self, due: u64) -> Option<f64> {
        Some(if due == 0 || self.paused { 0.0 } else { due as f64 / self.acked_per_second? })
    }
}

/// What a version that does not say so has.
fn counted() -> bool {
    true
}

#[cfg(feature = "schema")]
fn seconds_or_endless() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    use utoipa::openapi::schema::{Object, OneOfBuilder, Schema, SchemaType, Type};
    let word = Object::builder().schema_type(Type::String).enum_values(Some(["endless"])).build();
    let number = Object::with_type(Type::Number);
    let none = Object::with_type(SchemaType::Type(Type::Null));
    let choices = OneOfBuilder::new()
        .item(none)
        .item(number)
        .item(word)
        .description(Some(
            "Seconds until what is due now is done, if that goes on as in the last minute; `endless` when nothing was done in \
             it; zero while paused, as more workers would not help; null: the broker does not answer.",
        ))
        .build();
    utoipa::openapi::RefOr::T(Schema::OneOf(choices))
}

/// JSON has no infinity.
mod endless {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Known(f64),
        Endless(String),
    }

    #[expect(clippy::ref_option, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds =
            seconds.map(
                |seconds| {
                    if seconds.is_finite() { Seconds::Known(seconds) } else { Seconds::Endless("endless".into()) }
                },
            );
        seconds.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let seconds = Option::<Seconds>::deserialize(deserializer)?;
        Ok(seconds.map(|seconds| match seconds {
            Seconds::Known(seconds) => seconds,
            Seconds::Endless(_) => f64::INFINITY,
        }))
    }
}
