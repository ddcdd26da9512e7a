//! Lists workers and drains them; and reads the memory of the broker.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Queue, QueueError,
    broker::{Broker, BrokerError, WorkerView},
    redis::BrokerMemory,
};

/// The longest wait for the broker: an operator does not wait for one that is unreachable.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

impl Queue {
    /// Lists the workers that have sent a heartbeat in the last half minute, and what they run.
    ///
    /// # Errors
    /// Returns an error if the broker does not answer.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, QueueError> {
        Ok(self.broker().workers().await?)
    }

    /// Asks a worker to take no more jobs and to finish what it has; it learns that within two seconds, is shown as
    /// draining, and stays until it is stopped. False: nobody of this id was heard of.
    ///
    /// # Errors
    /// Returns an error if the broker or Postgres does not answer, or a statement fails.
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
        let known = self.broker().knows_worker(id).await?;
        if known {
            sqlx::query(
                self.schema().sql("insert into gristmill.worker_drains (worker_id) values ($1) on conflict do nothing"),
            )
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
            sqlx::query_scalar(self.schema().sql("select worker_id from gristmill.worker_drains limit 1000"))
                .fetch_all(self.pool())
                .await?;
        self.told_to_drain(&waiting).await
    }

    async fn told_to_drain(&self, workers: &[Uuid]) -> Result<(), QueueError> {
        for id in workers {
            let told = self.broker().drain_worker(*id).await?;
            // One that nobody has heard of for a minute is gone; before, the broker may have lost its data.
            sqlx::query(self.schema().sql("delete from gristmill.worker_drains where worker_id = $1 and ($2 or asked_at < now() - interval '1 minute')"))
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
    /// Returns an error if the broker does not answer.
    pub async fn broker_memory(&self) -> Result<BrokerMemory, QueueError> {
        let memory = match self.broker() {
            Broker::Redis(redis) => BrokerMemory::ask(&mut redis.conn()).await.map_err(BrokerError::from)?,
            Broker::Postgres(postgres) => postgres.memory().await.map_err(BrokerError::from)?,
        };
        metrics::gauge!("gristmill_broker_memory_bytes").set(memory.used as f64);
        metrics::gauge!("gristmill_broker_memory_limit_bytes").set(memory.limit.unwrap_or(0) as f64);
        Ok(memory)
    }
}
