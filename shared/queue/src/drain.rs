//! For tests: run everything that is due, then look.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{Queue, QueueError, Sweeper, Worker, WorkerError};

/// How the ledger stands after [`Queue::drain`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Jobs that are completed, of all there are.
    pub completed: i64,
    /// Dead ones.
    pub dead: i64,
    /// Cancelled ones.
    pub cancelled: i64,
    /// Those that wait for a later time.
    pub scheduled: i64,
}

/// Why a drain did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// There is still work.
    #[error("no job ended for {waited:?}, and {left} are still due")]
    StillDue {
        /// How long it waited for the next one.
        waited: Duration,
        /// How many are due.
        left: i64,
    },
    /// The ledger or the broker.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The worker did not run.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl Queue {
    /// Runs `worker` and a sweep until no job is due any more. For tests: a slow machine is no fault as long as jobs end.
    ///
    /// # Errors
    /// Returns an error if no job ends for `timeout` while some are due, or if Postgres or Redis fails.
    pub async fn drain(&self, worker: &Worker, timeout: Duration) -> Result<DrainReport, DrainError> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let running = tokio::spawn({
            let (worker, stop) = (worker.clone(), stop.clone());
            async move { worker.run(stop).await }
        });
        let (mut last, mut before) = (Instant::now(), 0);
        let mut sweeper = Sweeper::new(self);
        loop {
            sweeper.sweep().await?;
            let (left, ended): (i64, i64) = sqlx::query_as(self.schema().sql(
                "select count(*) filter (where state = 'available' or (state = 'scheduled' and (run_at <= now() or gate = 'slot')))
                        + (select count(*) from gristmill.stages_to_release) + (select count(*) from gristmill.order_turns),
                        count(*) filter (where state in ('completed', 'dead', 'cancelled'))
                 from gristmill.jobs",
            ))
            .fetch_one(self.pool())
            .await
            .map_err(QueueError::from)?;
            if left == 0 {
                break;
            }
            if ended > before {
                (last, before) = (Instant::now(), ended);
            }
            if last.elapsed() > timeout {
                return Err(DrainError::StillDue { waited: timeout, left });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        if let Ok(result) = running.await {
            result?;
        }
        let states: Vec<(String, i64)> =
            sqlx::query_as(self.schema().sql("select state, count(*) from gristmill.jobs group by state"))
                .fetch_all(self.pool())
                .await
                .map_err(QueueError::from)?;
        let count = |state: &str| states.iter().find(|(name, _)| name == state).map_or(0, |(_, n)| *n);
        Ok(DrainReport {
            completed: count("completed"),
            dead: count("dead"),
            cancelled: count("cancelled"),
            scheduled: count("scheduled"),
        })
    }
}
