//! What was cancelled, given up or removed leaves Postgres' own broker, also when no worker serves its queue: the sweep goes
//! through all that is there, a page at a time, and each page is one statement that asks the ledger beside it.

use std::time::{Duration, Instant};

use tracing::debug;
use uuid::Uuid;

use crate::{BrokerError, JobId, Queue, QueueError, envelope::enqueued, ledger::relay, postgres::PostgresTables};

/// Jobs that are looked at by one statement.
const PAGE_SIZE: i64 = 2_000;
/// Time that a look may take.
const TIME_BUDGET: Duration = Duration::from_millis(40);
/// Between the starts of two rounds, unless something was found.
const ROUND_INTERVAL: Duration = Duration::from_secs(5);

/// Where the round is.
#[derive(Default)]
pub(super) struct Ended {
    last: (Uuid, String),
    begun: Option<Instant>,
    found: bool,
}

impl Ended {
    /// Goes on with the round, for a bounded while.
    pub(super) async fn look(&mut self, queue: &Queue, postgres: &PostgresTables) -> Result<(), QueueError> {
        postgres.tick(queue.config().lease).await.map_err(BrokerError::from)?;
        let started = Instant::now();
        let at_start = self.last.0.is_nil();
        if at_start && !self.found && self.begun.is_some_and(|begun| begun.elapsed() < ROUND_INTERVAL) {
            return Ok(());
        }
        if at_start {
            (self.begun, self.found) = (Some(started), false);
            postgres.forget_old().await.map_err(BrokerError::from)?;
        }
        loop {
            let page = postgres.forget_ended(&self.last, PAGE_SIZE, queue.config().lease).await;
            let (gone, next) = page.map_err(BrokerError::from)?;
            self.run_again(queue, &gone).await?;
            let Some(next) = next else {
                self.last = Default::default();
                return Ok(());
            };
            self.last = next;
            if started.elapsed() > TIME_BUDGET {
                return Ok(());
            }
        }
    }

    /// Who was redriven while the statement looked found the broker knowing the job, and pushed nothing.
    async fn run_again(&mut self, queue: &Queue, gone: &[JobId]) -> Result<(), QueueError> {
        if gone.is_empty() {
            return Ok(());
        }
        self.found = true;
        debug!(jobs = gone.len(), "removed jobs from the broker that the ledger no longer wants");
        metrics::counter!("gristmill_relay_forgotten_total").increment(gone.len() as u64);
        let back = relay::rows_not_waiting(queue.schema(), queue.pool(), gone).await?;
        if !back.is_empty() {
            queue.try_push(enqueued(back).messages).await?;
        }
        Ok(())
    }
}
