//! What a worker knows of the others, and how often it releases jobs to them.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Roster;
use crate::delivery::WorkerState;

/// Between two jobs that a process releases to others: at most 500 per second, so that it gets past a long line of them and
/// keeps neither the broker nor the processor busy.
const MIN_INTERVAL: Duration = Duration::from_millis(2);

pub(in crate::run) struct Others {
    pub(super) roster: Roster,
    turn: Mutex<Instant>,
    worker_state: WorkerState,
}

impl Others {
    /// The other workers, as this worker sees them.
    pub(in crate::run) fn new(worker_state: WorkerState) -> Self {
        Self { roster: Roster::default(), turn: Mutex::new(Instant::now()), worker_state }
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
