//! What a scheduler does to a queue: gauges, audits, pruning.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Enqueued, Queue, QueueError};
use crate::{
    Depth, GroupId, GroupMismatch, JobId, PruneReport,
    ledger::{
        audit, prune, relay, stats,
        unsealed::{self, UnsealedGroup},
    },
};

/// Between two looks at a backlog that is counted quickly.
const GAUGE_INTERVAL: Duration = Duration::from_secs(4);

impl Queue {
    /// Jobs by queue and state, but for those that are completed or cancelled: counted up to 10,000, and beyond that about
    /// as many as the ledger expects there to be, so it costs the same at any backlog. Also sets the gauges
    /// `gristmill_queue_depth` and `gristmill_queue_oldest_seconds`, to zero where there are none any more, and, while the
    /// broker answers, `gristmill_queue_seconds_left`.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let depths = stats::depths(self.schema(), &mut *self.pool().acquire().await?).await?;
        self.reset_stale_gauges(&depths);
        for depth in &depths {
            let labels = [("queue", depth.queue.clone()), ("state", depth.state.clone())];
            metrics::gauge!("gristmill_queue_depth", &labels).set(depth.jobs as f64);
            metrics::gauge!("gristmill_queue_oldest_seconds", &labels).set(depth.oldest_seconds.max(0.0));
        }
        self.tell_seconds_left(&depths).await?;
        Ok(depths)
    }

    /// Sets the gauges of depth, age and of the broker's memory again and again, until `shutdown`. A backlog that takes long to
    /// count is counted less often. Any number of processes may do it.
    pub async fn keep_gauges(&self, shutdown: CancellationToken) {
        loop {
            let begun = Instant::now();
            if let Err(error) = self.depths().await {
                warn!(error = gristmill_core::chain(&error), "the backlog cannot be counted");
            }
            if let Err(error) = self.broker_memory().await {
                warn!(error = gristmill_core::chain(&error), "the broker does not say how full it is");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(GAUGE_INTERVAL.max(begun.elapsed() * 10)) => {}
            }
        }
    }

    /// The gauges of queues and states that have no jobs any more.
    fn reset_stale_gauges(&self, depths: &[Depth]) {
        let mut gauged = self.inner.gauged.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = std::mem::replace(&mut *gauged, depths.iter().map(|d| (d.queue.clone(), d.state.clone())).collect());
        for (queue, state) in gone.difference(&gauged) {
            let labels = [("queue", queue.clone()), ("state", state.clone())];
            metrics::gauge!("gristmill_queue_depth", &labels).set(0.0);
            metrics::gauge!("gristmill_queue_oldest_seconds", &labels).set(0.0);
        }
        gauged.extend(gone);
    }

    /// Groups older than `age` that are not closed and whose counters contradict their members; at most a hundred.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn miscounted_groups(&self, age: Duration) -> Result<Vec<GroupMismatch>, QueueError> {
        audit::miscounted(self.schema(), self.pool(), age, 100).await
    }

    /// Groups that are not sealed and in which, and inside of which, no member came or ended for `age`: who created them is
    /// gone, most likely. At most a hundred.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn unsealed_groups(&self, age: Duration) -> Result<Vec<UnsealedGroup>, QueueError> {
        unsealed::find(self.schema(), self.pool(), age, 100).await
    }

    /// Ends such a group, in the caller's transaction: it has failed, members that wait are cancelled, and the join of a
    /// failure comes. Nothing: something has happened in it meanwhile. Push the answer after the commit.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn end_unsealed(
        &self,
        conn: &mut PgConnection,
        group: GroupId,
        age: Duration,
    ) -> Result<Option<Enqueued>, QueueError> {
        unsealed::end(self.schema(), conn, group, age).await
    }

    /// Leased jobs of `queue` that the ledger does not know as still to be done (normal for the moment between
    /// the completion and the acknowledgement); of the thousand held longest.
    ///
    /// # Errors
    /// Returns an error if Postgres or the broker does not answer, or a statement fails.
    pub async fn stray_leases(&self, queue: &str) -> Result<Vec<JobId>, QueueError> {
        let ids = self.broker_queue(queue).leased(1_000).await?;
        let ids: Vec<JobId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let ended = relay::ended(self.schema(), self.pool(), &ids).await?;
        Ok(ended.into_iter().map(|(id, _)| id).collect())
    }

    /// Jobs of `queue` that wait in the broker, and that are leased.
    ///
    /// # Errors
    /// Returns an error if the broker does not answer.
    pub async fn broker_depth(&self, queue: &str) -> Result<(u64, u64), QueueError> {
        Ok(self.broker_queue(queue).depth().await?)
    }

    /// Removes jobs and groups that finished at least `age` ago, and ticks that old, in slices.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn prune(&self, age: Duration) -> Result<PruneReport, QueueError> {
        prune::prune(self.schema(), self.pool(), age, 2_000).await
    }

    /// Removes jobs that have been dead for at least `age`, in slices, but for members of groups that are open. Returns how
    /// many; what they kept of their groups goes with the next [`Queue::prune`].
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn prune_dead(&self, age: Duration) -> Result<u64, QueueError> {
        prune::prune_dead(self.schema(), self.pool(), age, 2_000).await
    }
}
