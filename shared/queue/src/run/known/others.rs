//! Reads the worker registry, one call at a time, and limits how often jobs are released to other workers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{Queue, QueueError, WorkerView, redis::WorkerState};

/// Between two jobs that a process releases to others: at most 500 per second, so that it gets past a long line of them and
/// keeps neither Redis nor the processor busy.
const MIN_INTERVAL: Duration = Duration::from_millis(2);

pub(in crate::run) struct Others {
    seen: Mutex<Option<Look>>,
    turn: Mutex<Instant>,
    worker_state: WorkerState,
}

struct Look {
    begun: Instant,
    workers: Arc<[WorkerView]>,
}

impl Others {
    /// The other workers, as this worker sees them.
    pub(in crate::run) fn new(worker_state: WorkerState) -> Self {
        Self { seen: Mutex::default(), turn: Mutex::new(Instant::now()), worker_state }
    }

    /// The registry as it was `age` ago, or later. Calls during a read share the next one.
    pub(super) async fn seen(&self, queue: &Queue, age: Duration) -> Result<Arc<[WorkerView]>, QueueError> {
        let asked = Instant::now();
        let mut seen = self.seen.lock().await;
        if let Some(look) = &*seen
            && look.begun + age >= asked
        {
            return Ok(Arc::clone(&look.workers));
        }
        let begun = Instant::now();
        let workers: Arc<[WorkerView]> = queue.workers().await?.into();
        *seen = Some(Look { begun, workers: Arc::clone(&workers) });
        Ok(workers)
    }

    /// Whether every live worker must be listed: the registry has been complete for `age`.
    pub(super) fn list_is_complete(&self, age: Duration) -> bool {
        self.worker_state.registered_for().is_some_and(|heard| heard >= age)
    }

    /// Waits until another job may be released.
    pub(super) async fn turn(&self) {
        let mut turn = self.turn.lock().await;
        tokio::time::sleep_until((*turn).into()).await;
        *turn = Instant::now() + MIN_INTERVAL;
    }
}
