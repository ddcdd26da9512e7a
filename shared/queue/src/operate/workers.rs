//! Workers: who there is, and told to go.

use uuid::Uuid;

use crate::{
    Queue, QueueError,
    redis::{Roster, WorkerView},
};

impl Queue {
    /// Workers heard of in the last half minute, and what they run.
    ///
    /// # Errors
    /// The broker's silence.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, QueueError> {
        self.roster().list(&mut self.conn()).await.map_err(QueueError::Silent)
    }

    /// Asks a worker to take no more jobs and to finish what it has; it learns that within two seconds, is shown as
    /// draining, and stays until it is stopped. False: nobody of this id was heard of.
    ///
    /// # Errors
    /// The broker's silence.
    pub async fn drain_worker(&self, id: Uuid) -> Result<bool, QueueError> {
        self.roster().drain(&mut self.conn(), id).await.map_err(QueueError::Silent)
    }

    fn roster(&self) -> Roster {
        Roster::new(&self.config().namespace)
    }
}
