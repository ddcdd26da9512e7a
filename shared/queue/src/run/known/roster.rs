//! The worker registry, read one call at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{Queue, QueueError, WorkerView};

/// What was last read of the registry.
#[derive(Default)]
pub(crate) struct Roster(Mutex<Option<Look>>);

struct Look {
    begun: Instant,
    workers: Arc<[WorkerView]>,
}

impl Roster {
    /// The registry as it was `age` ago, or later. Calls during a read share the next one.
    pub(crate) async fn seen(&self, queue: &Queue, age: Duration) -> Result<Arc<[WorkerView]>, QueueError> {
        let asked = Instant::now();
        let mut seen = self.0.lock().await;
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
}
