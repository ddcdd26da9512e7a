//! How a worker uses a queue, and what every task carries in its data.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::WorkerState;

/// How one worker uses one queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The prefix of all keys.
    pub namespace: String,
    /// The queue.
    pub queue: String,
    /// How many jobs the worker holds at a time, running or about to run.
    pub concurrency: usize,
    /// How long a worker keeps its jobs without renewing their leases.
    pub lease: Duration,
    /// How many deliveries of a job may end without success. After two (or one fewer than this) whose worker was lost, the
    /// job runs alone in its process, and from then on only deliveries that failed there count.
    pub max_deliveries: u32,
    /// First and longest delay before a failed task is delivered again.
    pub backoff: (Duration, Duration),
    /// A name for people.
    pub label: String,
    /// The version of the binary.
    pub version: String,
    /// The worker that this queue belongs to.
    pub worker_state: WorkerState,
}

impl Settings {
    /// The defaults for this queue.
    #[must_use]
    pub fn new(namespace: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            queue: queue.into(),
            concurrency: 16,
            lease: Duration::from_secs(6),
            max_deliveries: 10,
            backoff: (Duration::from_secs(1), Duration::from_secs(600)),
            label: String::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            worker_state: WorkerState::default(),
        }
    }
}

/// Is cancelled when another worker takes over the lease of a running task. Every task carries one in its data.
#[derive(Debug, Clone)]
pub struct LeaseLost(pub CancellationToken);

/// The name of a running task in the worker registry. Every task carries one in its data; the service sets it when it has
/// decoded the payload.
#[derive(Debug, Clone, Default)]
pub struct RunningName(Arc<OnceLock<Arc<str>>>);

impl RunningName {
    /// Sets the name. Later calls change nothing.
    pub fn set(&self, name: &Arc<str>) {
        self.0.get_or_init(|| Arc::clone(name));
    }

    pub(crate) fn get(&self) -> Option<String> {
        self.0.get().map(|name| name.to_string())
    }
}

/// Tasks of one priority take turns by this key. Put it in the data of a task that is pushed; every task that runs has
/// one, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FairKey(pub String);
