//! What a user of the queue writes: a payload that is the job, and how one run of it may end.

use std::{fmt, time::Duration};

use gristmill_core::{Source, chain, string_enum};
use serde::{Serialize, de::DeserializeOwned};

/// A job is its payload and these consts. It carries ids, not content, and may run more than once.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire. Never change it without adding the old one to [`Job::ALIASES`].
    const NAME: &'static str;
    /// The queue it waits in.
    const QUEUE: &'static str = "default";
    /// 0 is the most urgent, 9 the least.
    const PRIORITY: u8 = 4;
    /// Failed attempts until the job is dead.
    const MAX_ATTEMPTS: u16 = 8;
    /// How long one attempt may take.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// Former names, still accepted.
    const ALIASES: &'static [&'static str] = &[];
    /// How long it is kept when it has ended, if not as long as everything. Dead jobs wait for a decision,
    /// members of a group go with their group.
    const RETAIN: Option<Duration> = None;
    /// The shape of the payload, from 1. Raise it when an older payload no longer means the same, and tell
    /// [`Job::upgrade`] how to read that. A job written by a newer version than this one is parked.
    const VERSION: u16 = 1;

    /// A payload of version `from` in the shape of [`Job::VERSION`]; only called when they differ.
    ///
    /// # Errors
    /// Returns why the payload cannot be upgraded: the job is then parked.
    fn upgrade(from: u16, payload: serde_json::Value) -> Result<serde_json::Value, Source> {
        let _ = payload;
        Err(format!("no way is given to read payloads of version {from}").into())
    }

    /// How long to wait after this failed attempt (from 1); the queue's exponential backoff with jitter, unless given.
    fn backoff(attempt: u32) -> Option<Duration> {
        let _ = attempt;
        None
    }
}

/// For the ledger.
pub(crate) fn retain_seconds<J: Job>() -> Option<i32> {
    J::RETAIN.map(seconds)
}

pub(crate) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

string_enum! {
    /// The state of a job in the ledger; a running one is available.
    #[derive(PartialOrd, Ord)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum JobState {
        /// To be run now, or running.
        Available,
        /// Waits for its time.
        Scheduled,
        /// Done.
        Completed,
        /// Out of attempts, or hopeless: waits for a decision.
        Dead,
        /// Stopped, or given up.
        Cancelled,
        /// Nobody could read it so far.
        Parked,
    }
}

/// How an attempt ends when it does not succeed. Any standard error becomes [`JobError::Retry`] by `?`.
#[derive(Debug)]
pub enum JobError {
    /// Try again after the queue's backoff.
    Retry(Source),
    /// Try again after this long; counts as an attempt.
    RetryAfter(Duration, Source),
    /// Come back after this long; not an attempt.
    Snooze(Duration),
    /// What [`Context::sleep`](crate::Context::sleep) and [`Context::wait_for`](crate::Context::wait_for) end a body with: hand it on by
    /// `?`. The job comes back after this long, or as soon as it is sent the signal; not an attempt.
    Sleeping {
        /// What is left of the sleep, or of the wait.
        left: Duration,
        /// The signal that is waited for.
        signal: Option<String>,
    },
    /// Hopeless: dead at once.
    Discard(Source),
    /// Stopped because the job was cancelled.
    Cancelled,
}

impl JobError {
    /// A retry with a message as its cause.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry(message.into().into())
    }

    /// A discard with a message as its cause.
    pub fn discard(message: impl Into<String>) -> Self {
        Self::Discard(message.into().into())
    }
}

/// Not `std::error::Error` itself, so that every error type converts by `?`.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::Retry(Box::new(error))
    }
}

/// A [`JobError`] as a standard error, for what passes errors on without looking at them: boxes, layers of `tower`. A boxed
/// one becomes the [`JobError`] that it was by [`JobError::from_boxed`].
#[derive(Debug)]
pub struct JobFailure(pub JobError);

impl fmt::Display for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// Its text has the whole chain already, so it names no source.
impl std::error::Error for JobFailure {}

impl From<JobError> for Source {
    fn from(error: JobError) -> Self {
        Box::new(JobFailure(error))
    }
}

impl JobError {
    /// The job's error that was boxed; any other error is [`JobError::Retry`].
    #[must_use]
    pub fn from_boxed(error: Source) -> Self {
        match error.downcast::<JobFailure>() {
            Ok(failure) => failure.0,
            Err(error) => Self::Retry(error),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(source) | Self::RetryAfter(_, source) | Self::Discard(source) => f.write_str(&chain(&**source)),
            Self::Snooze(delay) => write!(f, "snoozed for {delay:?}"),
            Self::Sleeping { left, signal: None } => write!(f, "sleeping for {left:?}"),
            Self::Sleeping { left, signal: Some(signal) } => {
                write!(f, "waiting for the signal `{signal}`, for {left:?}")
            }
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boxed_one_is_what_it_was() {
        let boxed: Source = JobError::Snooze(Duration::from_secs(3)).into();
        assert!(matches!(JobError::from_boxed(boxed), JobError::Snooze(pause) if pause == Duration::from_secs(3)));
        assert_eq!(JobError::from_boxed("no".into()).to_string(), "no");
    }
}
