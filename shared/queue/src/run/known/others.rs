//! The workers there are, looked up by one at a time, and how often jobs may be left to them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{Queue, QueueError, WorkerView, redis::WorkerState};

/// Between two jobs that a process leaves to others: 500 a second at most, so that a long line of them is passed by, and
/// neither Redis nor the processor is busy with it.
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
    /// Of this worker.
    pub(in crate::run) fn new(worker_state: WorkerState) -> Self {
        Self { seen: Mutex::default(), turn: Mutex::new(Instant::now()), worker_state }
    }

    /// The list as it was `age` ago, or later. All who ask while somebody looks share the next look.
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

    /// Whether whoever lives must be in the list: it has not been new, or lost, for so long.
    pub(super) fn list_is_complete(&self, age: Duration) -> bool {
        self.worker_state.registered_for().is_some_and(|heard| heard >= age)
    }

    /// Waits until another job may be left.
    pub(super) async fn turn(&self) {
        let mut turn = self.turn.lock().await;
        tokio::time::sleep_until((*turn).into()).await;
        *turn = Instant::now() + MIN_INTERVAL;
    }
}
