//! The ledger has the limits of a queue and whether it is paused; the broker has a copy, which every claim reads.

use std::time::Duration;

use jiff_sqlx::Timestamp;
use tracing::{debug, info};

use crate::{BrokerError, Queue, QueueError, broker::Limits};

/// The longest wait for the broker: an operator does not wait for one that is unreachable.
pub(super) const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct QueueRow {
    pub(super) name: String,
    pub(super) paused: bool,
    concurrency: Option<i32>,
    rate_per_second: Option<f64>,
    burst: Option<i32>,
    key_concurrency: Option<i32>,
    pub(super) draining_at: Option<Timestamp>,
    updated_at: Timestamp,
}

impl QueueRow {
    pub(super) fn limits(&self) -> Limits {
        let number = |number: Option<i32>| number.map(i32::unsigned_abs);
        Limits {
            concurrency: number(self.concurrency),
            rate_per_second: self.rate_per_second,
            burst: number(self.burst),
            key_concurrency: number(self.key_concurrency),
        }
    }
}

impl Queue {
    /// Copies the row now, or leaves that to the sweep.
    pub(super) async fn sync_soon(&self, row: &QueueRow) {
        match tokio::time::timeout(BROKER_TIMEOUT, self.copy(row)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                debug!(queue = row.name, %error, "copying the queue's limits to the broker failed; the sweep will do it")
            }
            Err(_) => {
                debug!(queue = row.name, "copying the queue's limits to the broker timed out; the sweep will do it")
            }
        }
    }

    async fn copy(&self, row: &QueueRow) -> Result<bool, BrokerError> {
        let version = row.updated_at.to_jiff().as_microsecond();
        self.broker_queue(&row.name).set_limits(version, row.paused, &row.limits()).await
    }

    /// Pauses the queues that have drained, and copies every row to the broker.
    pub(crate) async fn restore_limits(&self) -> Result<(), QueueError> {
        let drained: Vec<String> = sqlx::query_scalar(self.schema().sql("update gristmill.queues q set paused = true, draining_at = null, updated_at = clock_timestamp()
             where draining_at is not null and not exists (
                select from gristmill.jobs j where j.state = 'available' and j.queue = q.name and j.queue <> '' and j.run_at <= q.draining_at)
             returning name"))
        .fetch_all(self.pool())
        .await?;
        for name in drained {
            info!(queue = name, "has drained and is paused");
        }
        let rows: Vec<QueueRow> =
            sqlx::query_as(self.schema().sql("select * from gristmill.queues")).fetch_all(self.pool()).await?;
        for row in rows {
            self.copy(&row).await?;
        }
        Ok(())
    }
}
