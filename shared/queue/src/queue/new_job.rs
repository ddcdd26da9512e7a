//! Jobs of any kind, for who knows them by their names only.

use std::time::Duration;

use gristmill_core::ClientId;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Enqueued, QueueError};
use crate::{Backoff, GroupId, Job, JobId, UniqueMode};

/// A job to be enqueued that is known by its name, as [`Queue::enqueue_many`](crate::Queue::enqueue_many) takes them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewJob {
    /// What it does: the name by which workers know it.
    pub name: String,
    /// What it is given.
    pub payload: Box<RawValue>,
    /// The queue it waits in; `default` unless set.
    pub queue: String,
    /// 0 is the most urgent, 9 the least; 4 unless set.
    pub priority: u8,
    /// Failed attempts until it is dead; 8 unless set.
    pub max_attempts: u16,
    /// Not before this time.
    pub run_at: Option<Timestamp>,
    /// So long after `run_at`, or after now by Postgres' clock.
    pub delay: Option<Duration>,
    /// As a member of this group.
    pub group: Option<GroupId>,
    /// Nothing is enqueued while a job with this key waits or runs.
    pub unique_key: Option<String>,
    /// What it does to the job that waits with its unique key.
    pub unique_mode: UniqueMode,
    /// On behalf of this client.
    pub client_id: Option<ClientId>,
    /// Whose turn it takes. The client, unless set.
    pub fair_key: Option<String>,
    /// Jobs with this key run one at a time, in the order in which they were enqueued: see [`Options::order_key`](crate::Options).
    pub order_key: Option<String>,
    /// The W3C `traceparent` that it follows: where there is none, what enqueues it.
    pub trace_parent: Option<String>,
    /// The shape of the payload.
    pub version: u16,
    /// How long it is kept when it has ended.
    pub retain: Option<Duration>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// A job that has not started so long after it became due is cancelled in place of being run.
    pub expires_in: Option<Duration>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How long to wait between attempts.
    pub backoff: Option<Backoff>,
}

impl NewJob {
    /// A job of this name, given this JSON.
    #[must_use]
    pub fn new(name: impl Into<String>, payload: Box<RawValue>) -> Self {
        Self {
            name: name.into(),
            payload,
            queue: "default".into(),
            priority: 4,
            max_attempts: 8,
            run_at: None,
            delay: None,
            group: None,
            unique_key: None,
            unique_mode: UniqueMode::Keep,
            client_id: None,
            fair_key: None,
            order_key: None,
            trace_parent: None,
            version: 1,
            retain: None,
            timeout: None,
            expires_in: None,
            tags: Vec::new(),
            backoff: None,
        }
    }

    /// The same, given a value.
    ///
    /// # Errors
    /// Returns an error if the value does not serialize.
    pub fn of(name: impl Into<String>, payload: &impl Serialize) -> Result<Self, QueueError> {
        Ok(Self::new(name, to_raw_value(payload).map_err(QueueError::Encode)?))
    }

    /// The given job with its own consts.
    ///
    /// # Errors
    /// Returns an error if it does not serialize.
    pub fn from_job<J: Job>(job: &J) -> Result<Self, QueueError> {
        let new = Self::of(J::NAME, job)?;
        Ok(Self {
            queue: J::QUEUE.into(),
            priority: J::PRIORITY.min(9),
            max_attempts: J::MAX_ATTEMPTS.max(1),
            version: J::VERSION,
            retain: J::RETAIN,
            ..new
        })
    }

    /// Whose turn it takes.
    pub(crate) fn turn(&self) -> Option<String> {
        self.fair_key.clone().or_else(|| self.client_id.map(|client| client.to_string()))
    }
}

/// What [`Queue::enqueue_many`](crate::Queue::enqueue_many) did.
#[derive(Debug)]
pub struct ManyJobs {
    pub(crate) ids: Vec<JobId>,
    pub(crate) existing: Vec<usize>,
    pub(crate) replaced: Vec<usize>,
    pub(crate) enqueued: Enqueued,
}

impl ManyJobs {
    /// A job for each that was given, in their order: the new one, or the one that has its unique key.
    #[must_use]
    pub fn ids(&self) -> &[JobId] {
        &self.ids
    }

    /// The places of those that were not enqueued, because a job with their unique key was there.
    #[must_use]
    pub fn existing(&self) -> &[usize] {
        &self.existing
    }

    /// The places of those of them whose job was waiting, and is now what they say: see [`UniqueMode`].
    #[must_use]
    pub fn replaced(&self) -> &[usize] {
        &self.replaced
    }

    /// The new jobs.
    pub fn enqueued(&self) -> &Enqueued {
        &self.enqueued
    }

    /// What to [push](crate::Queue::push) after the commit.
    pub fn into_enqueued(self) -> Enqueued {
        self.enqueued
    }
}

/// Why many jobs were not enqueued. None of them was.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", .job.map_or(String::new(), |n| format!("job {n}: ")))]
pub struct EnqueueManyError {
    /// The place of the job at fault, from 0, where one is.
    pub job: Option<usize>,
    /// What is wrong.
    #[source]
    pub error: QueueError,
}

impl From<QueueError> for EnqueueManyError {
    fn from(error: QueueError) -> Self {
        Self { job: None, error }
    }
}
