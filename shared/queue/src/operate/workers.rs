//! Workers: who there is, and told to go; and how full the broker is that they share.

use uuid::Uuid;

use crate::{
    Queue, QueueError,
    redis::{BrokerMemory, Roster, WorkerView},
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

    /// How full the broker is; also sets the gauges `gristmill_broker_memory_bytes` and
    /// `gristmill_broker_memory_limit_bytes` (0: no limit).
    ///
    /// # Errors
    /// The broker's silence.
    pub async fn broker_memory(&self) -> Result<BrokerMemory, QueueError> {
        let memory = BrokerMemory::ask(&mut self.conn()).await.map_err(QueueError::Silent)?;
        metrics::gauge!("gristmill_broker_memory_bytes").set(memory.used as f64);
        metrics::gauge!("gristmill_broker_memory_limit_bytes").set(memory.limit.unwrap_or(0) as f64);
        Ok(memory)
    }

    fn roster(&self) -> Roster {
        Roster::new(&self.config().namespace)
    }
}
