//! How a job is enqueued.

use std::time::Duration;

use gristmill_core::ClientId;
use jiff::Timestamp;

use crate::{GroupId, JobState};

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
    /// The same, for a time or in other states. Beside a `unique_key`, both must be free.
    pub unique: Option<Unique>,
    /// The W3C `traceparent` that each of the jobs follows, in their order: where there is none, what enqueues it
    /// ([`crate::trace::current`]).
    pub trace_parents: Vec<Option<String>>,
    /// Failed attempts until the job is dead.
    pub max_attempts: Option<u16>,
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
