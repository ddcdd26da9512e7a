//! Lists workers and drains them; and reads the memory of the broker.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Queue, QueueError,
    redis::{BrokerMemory, WorkerRegistry, WorkerView},
};

/// The longest wait for the broker: an operator does not wait for one that is unreachable.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

impl Queue {
    /// Lists the workers that have sent a heartbeat in the last half minute, and what they run.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, QueueError> {
        self.registry().list(&mut self.conn()).await.map_err(QueueError::BrokerUnavailable)
    }

    /// Asks a worker to take no more jobs and to finish what it has; it learns that within two seconds, is shown as
    /// draining, and stays until it is stopped. False: nobody of this id was heard of.
    ///
    /// # Errors
    /// Returns an error if Redis or Postgres does not answer, or a statement fails.
    pub async fn drain_worker(&self, id: Uuid) -> Result<bool, QueueError> {
        let mut conn = self.pool().acquire().await?;
        let known = self.drain_worker_in(&mut conn, id).await?;
        drop(conn);
        if known {
            self.tell_drain(id).await;
        }
        Ok(known)
    }

    /// The same with the caller's commit. [`Queue::tell_drain`] after it.
    ///
    /// # Errors
    /// Returns the errors of [`Queue::drain_worker`].
    pub async fn drain_worker_in(&self, conn: &mut PgConnection, id: Uuid) -> Result<bool, QueueError> {
        let known = self.registry().is_known(&mut self.conn(), id).await.map_err(QueueError::BrokerUnavailable)?;
        if known {
            sqlx::query("insert into worker_drains (worker_id) values ($1) on conflict do nothing")
                .bind(id)
                .execute(conn)
                .await?;
        }
        Ok(known)
    }

    /// Tells a worker what was committed; what this fails to tell is told by the sweep, within a second.
    pub async fn tell_drain(&self, id: Uuid) {
        match tokio::time::timeout(BROKER_TIMEOUT, self.told_to_drain(&[id])).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(worker = %id, error = gristmill_core::chain(&error), "sending the drain order failed; the sweep will send it");
            }
            Err(_) => {
                tracing::debug!(worker = %id, "the broker is slow; sending the drain order failed; the sweep will send it")
            }
        }
    }

    /// Tells the workers that are to drain and have not been told.
    pub(crate) async fn tell_drains(&self) -> Result<(), QueueError> {
        let waiting: Vec<Uuid> =
            sqlx::query_scalar("select worker_id from worker_drains limit 1000").fetch_all(self.pool()).await?;
        self.told_to_drain(&waiting).await
    }

    async fn told_to_drain(&self, workers: &[Uuid]) -> Result<(), QueueError> {
        for id in workers {
            let told = self.registry().drain(&mut self.conn(), *id).await.map_err(QueueError::BrokerUnavailable)?;
            // One that nobody has heard of for a minute is gone; before, the broker may have lost its data.
            sqlx::query(
                "delete from worker_drains where worker_id = $1 and ($2 or asked_at < now() - interval '1 minute')",
            )
            .bind(id)
            .bind(told)
            .execute(self.pool())
            .await?;
        }
        Ok(())
    }

    /// How full the broker is; also sets the gauges `gristmill_broker_memory_bytes` and
    /// `gristmill_broker_memory_limit_bytes` (0: no limit).
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn broker_memory(&self) -> Result<BrokerMemory, QueueError> {
        let memory = BrokerMemory::ask(&mut self.conn()).await.map_err(QueueError::BrokerUnavailable)?;
        metrics::gauge!("gristmill_broker_memory_bytes").set(memory.used as f64);
        metrics::gauge!("gristmill_broker_memory_limit_bytes").set(memory.limit.unwrap_or(0) as f64);
        Ok(memory)
    }

    fn registry(&self) -> WorkerRegistry {
        WorkerRegistry::new(&self.config().namespace)
    }
}
