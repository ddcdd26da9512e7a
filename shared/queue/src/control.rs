//! What somebody decides about jobs: cancel, run again, give up.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgConnection;
use tracing::debug;

use crate::{
    Enqueued, GroupId, JobId, Queue, QueueError,
    envelope::enqueued,
    ledger::{
        cancel::{self, CancelRequest},
        fail::{self, Settle, SettledState, Verdict},
        park::{self, Reader},
        redrive,
    },
};

/// What [`Queue::cancel_jobs`] did. Jobs that have ended, or do not exist, are in neither number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CancelledJobs {
    /// They did not run and never will.
    pub cancelled: u64,
    /// They run: their token is cancelled within a second, and they are cancelled when they have stopped. A body that
    /// does not heed its token is abandoned five seconds later; one that succeeds first has completed.
    pub requested: u64,
}

const BATCH_SIZE: usize = 1_000;
/// A job that runs has settled its cancellation by then, or its worker is gone.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(8);

impl Queue {
    /// Cancels jobs: those that wait at once, those that run by their token. In transactions of its own, because the
    /// wish must be known before anybody can tell which jobs run.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails. While the broker does not answer, jobs that
    /// may run count as requested.
    pub async fn cancel_jobs(&self, ids: &[JobId]) -> Result<CancelledJobs, QueueError> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let mut all = CancelledJobs::default();
        for slice in ids.chunks(BATCH_SIZE) {
            let mut tx = self.pool().begin().await?;
            let (cancelled, requested, joins) = cancel::request(self.schema(), &mut tx, slice).await?;
            tx.commit().await?;
            self.push(joins).await;
            let settled = self.cancel_idle(&requested).await?;
            all.cancelled += cancelled + settled;
            all.requested += requested.len() as u64 - settled;
        }
        Ok(all)
    }

    /// Cancels those of the requested jobs that no worker holds. Who claims one from now on sees the request.
    async fn cancel_idle(&self, requested: &[CancelRequest]) -> Result<u64, QueueError> {
        let idle = self.held_by_nobody(requested).await;
        if idle.is_empty() {
            return Ok(0);
        }
        let mut tx = self.pool().begin().await?;
        let (settled, joins) = self.cancel_held_by_nobody(&mut tx, &idle).await?;
        tx.commit().await?;
        self.push(joins).await;
        Ok(settled)
    }

    /// Those of the requested jobs that no worker holds; none while the broker is silent.
    pub(crate) async fn held_by_nobody(&self, requested: &[CancelRequest]) -> Vec<JobId> {
        let mut queues: BTreeMap<&str, Vec<JobId>> = BTreeMap::new();
        for (id, queue) in requested {
            queues.entry(queue).or_default().push(*id);
        }
        let mut idle = Vec::new();
        for (queue, ids) in queues {
            match self.broker_queue(queue).are_leased(self.config().lease, &ids).await {
                Ok(leased) => idle.extend(ids.into_iter().zip(leased).filter(|(_, leased)| !leased).map(|(id, _)| id)),
                Err(error) => debug!(%error, "the broker cannot say which jobs run; their workers will see"),
            }
        }
        idle
    }

    /// Cancels jobs that were asked about, says how many, and which joins became due by it: push these after the commit.
    pub(crate) async fn cancel_held_by_nobody(
        &self,
        conn: &mut PgConnection,
        idle: &[JobId],
    ) -> Result<(u64, Enqueued), QueueError> {
        let verdicts: Vec<Settle> =
            idle.iter().map(|id| Settle { id: *id, verdict: Verdict::CANCELLED, run: None }).collect();
        let (settled, joins) = fail::settle(self.schema(), conn, &self.config().version, &verdicts).await?;
        Ok((settled.iter().filter(|(_, settled)| *settled == SettledState::Cancelled).count() as u64, joins))
    }

    /// The same for requests whose worker has died, or that no worker has come to.
    pub(crate) async fn cancel_overdue(&self) -> Result<(), QueueError> {
        let overdue = cancel::overdue(self.schema(), self.pool(), CANCEL_TIMEOUT, 1_000).await?;
        self.cancel_idle(&overdue).await?;
        Ok(())
    }

    /// Makes dead, cancelled and parked jobs available again, with all their attempts before them and their history
    /// kept. A finished group of theirs is open again, and its join comes again when it has ended again; where a failure
    /// among them has stopped a group, what it stopped is run again with it. Passed over is what has not ended so, whose
    /// unique key another job holds by now, or whose group is still stopping.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn redrive(&self, conn: &mut PgConnection, ids: &[JobId]) -> Result<Enqueued, QueueError> {
        redrive::redrive(self.schema(), conn, ids).await
    }

    /// Gives dead and parked jobs up: they are cancelled, their error kept, and wait for no decision any more.
    /// Returns how many. (A group that a parked member held open ends; its join is pushed by the sweep.)
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn discard(&self, conn: &mut PgConnection, ids: &[JobId]) -> Result<u64, QueueError> {
        redrive::discard(self.schema(), conn, ids).await
    }

    /// Runs the failed members of a group again, and of groups inside it; where a failure has stopped a group, those
    /// that it stopped too. The join comes again, once, as a new completion.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn retry_group(&self, conn: &mut PgConnection, group: GroupId) -> Result<Enqueued, QueueError> {
        let ids = redrive::failed_members(self.schema(), conn, group).await?;
        redrive::redrive(self.schema(), conn, &ids).await
    }

    /// Tries a slice of the jobs that another reader has parked; the patient leave alone what was parked a moment ago.
    pub(crate) async fn unpark(&self, reader: Reader<'_>, queues: &[String], patient: bool) -> Result<u64, QueueError> {
        let mut conn = self.pool().acquire().await?;
        let rows = park::unpark(self.schema(), &mut conn, reader, queues, 500, patient).await?;
        drop(conn);
        let jobs = rows.len() as u64;
        self.push(enqueued(rows)).await;
        Ok(jobs)
    }
}
