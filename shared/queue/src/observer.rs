//! Who is told of each attempt.

use std::{fmt, sync::Arc, time::Duration};

use crate::JobId;

/// Something that happened to a job in this process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobEvent {
    /// The job.
    pub id: JobId,
    /// What it does.
    pub name: Arc<str>,
    /// The queue it came from.
    pub queue: Arc<str>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The number of the last attempt.
    pub max_attempts: u32,
    /// What happened.
    pub kind: JobEventKind,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEventKind {
    /// It was enqueued by this process.
    Enqueued,
    /// An attempt begins.
    Started,
    /// The attempt went well, and the ledger has it.
    Succeeded {
        /// How long its body ran.
        duration: Duration,
    },
    /// The attempt did not go well, and the ledger has it.
    Failed {
        /// `retried`, `timed_out`, `panicked`, `discarded`, `cancelled`, `snoozed` or `parked`.
        outcome: &'static str,
        /// Why.
        error: Option<String>,
        /// How long its body ran.
        duration: Duration,
        /// No attempt follows by itself.
        last: bool,
    },
}

impl JobEvent {
    /// Of a job that this process has enqueued.
    #[must_use]
    pub fn enqueued(id: JobId, name: &str, queue: &str, max_attempts: u32) -> Self {
        Self { id, name: name.into(), queue: queue.into(), attempt: 0, max_attempts, kind: JobEventKind::Enqueued }
    }
}

/// Is told of each attempt, on the task that runs it: it must not block.
#[derive(Clone, Default)]
pub(crate) struct Observer(pub(crate) Option<Arc<dyn Fn(JobEvent) + Send + Sync>>);

impl Observer {
    pub(crate) fn tell(&self, event: impl FnOnce() -> JobEvent) {
        if let Some(observe) = &self.0 {
            observe(event());
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}
