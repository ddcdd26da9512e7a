//! One queue in its broker.

use std::time::Duration;

use super::{BrokerError, BrokerJob, ClaimResult, LeaseRelease, Limits, Load, PushResult, ReapResult, Window};
use crate::{JobId, postgres::PostgresQueue, redis::RedisQueue};

/// One queue in its broker, over one connection. Cheap to clone.
///
/// A delivery has a number, which fences what its worker says later: an answer with the number of an earlier delivery changes
/// nothing. Deadlines are by the broker's clock, and no step of it ends a lease.
#[derive(Clone)]
pub(crate) enum BrokerQueue {
    Redis(RedisQueue),
    Postgres(PostgresQueue),
}

/// Calls the same method of each broker.
macro_rules! each {
    ($self:ident, $queue:ident => $call:expr) => {
        match $self {
            Self::Redis($queue) => Ok($call?),
            Self::Postgres($queue) => Ok($call?),
        }
    };
}

impl BrokerQueue {
    /// Puts jobs in line as far as the window has room for them. Ids that the broker knows stay where they are, so a push may
    /// be repeated.
    pub(crate) async fn push_within(
        &self,
        priority: u8,
        jobs: &[BrokerJob<'_>],
        window: Window,
    ) -> Result<PushResult, BrokerError> {
        each!(self, queue => queue.push_within(priority, jobs, window).await)
    }

    /// Leases up to `count` jobs, the most urgent first, or the least urgent first. Keys of one priority take turns.
    pub(crate) async fn claim(
        &self,
        lease: Duration,
        count: usize,
        from_lowest: bool,
    ) -> Result<ClaimResult, BrokerError> {
        each!(self, queue => queue.claim(lease, count, from_lowest).await)
    }

    /// Moves the deadlines of these leases; returns the ids of the jobs that another worker has.
    pub(crate) async fn renew(&self, lease: Duration, held: &[(String, u64)]) -> Result<Vec<String>, BrokerError> {
        each!(self, queue => queue.renew(lease, held).await)
    }

    /// Removes finished jobs whose lease the caller still has.
    pub(crate) async fn ack(&self, done: &[(String, u64)]) -> Result<(), BrokerError> {
        each!(self, queue => queue.ack(done).await)
    }

    /// Releases jobs whose lease the caller still has, at once or after a delay.
    pub(crate) async fn release(
        &self,
        lease: Duration,
        max_deliveries: u32,
        releases: &[LeaseRelease],
    ) -> Result<(), BrokerError> {
        each!(self, queue => queue.release(lease, max_deliveries, releases).await)
    }

    /// Records that nothing runs beside this delivery. Returns false if another worker has the job by now.
    pub(crate) async fn alone(&self, id: &str, number: u64) -> Result<bool, BrokerError> {
        each!(self, queue => queue.alone(id, number).await)
    }

    /// Puts a batch of the jobs whose lease or delay ran out back in line.
    pub(crate) async fn reap(&self, max_deliveries: u32, lease: Duration) -> Result<ReapResult, BrokerError> {
        each!(self, queue => queue.reap(max_deliveries, lease).await)
    }

    /// The payload of a job. It is empty when the broker does not know the job.
    pub(crate) async fn payload(&self, id: &str) -> Result<Vec<u8>, BrokerError> {
        each!(self, queue => queue.payload(id).await)
    }

    /// Which of these jobs the broker knows, waiting or running.
    pub(crate) async fn known(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        each!(self, queue => queue.known(ids).await)
    }

    /// Which of these jobs are leased. A lease that has run out does not count.
    pub(crate) async fn are_leased(&self, lease: Duration, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        each!(self, queue => queue.are_leased(lease, ids).await)
    }

    /// Ids of at most `limit` leased jobs, those that were held longest first.
    pub(crate) async fn leased(&self, limit: usize) -> Result<Vec<String>, BrokerError> {
        each!(self, queue => queue.leased(limit).await)
    }

    /// Sets the queue's limits and whether it is paused, unless a later `version` is set already. Returns whether anything
    /// changed.
    pub(crate) async fn set_limits(&self, version: i64, paused: bool, limits: &Limits) -> Result<bool, BrokerError> {
        each!(self, queue => queue.set_limits(version, paused, limits).await)
    }

    /// How many jobs wait, and how many run.
    pub(crate) async fn depth(&self) -> Result<(u64, u64), BrokerError> {
        each!(self, queue => queue.depth().await)
    }

    /// How many jobs wait and run, and how many are acknowledged per second.
    pub(crate) async fn load(&self) -> Result<Load, BrokerError> {
        each!(self, queue => queue.load().await)
    }

    /// Records that these lines (priority, key), and no others, have jobs that wait outside the broker.
    pub(crate) async fn set_lines_outside(&self, lines: &[(u8, &str)]) -> Result<(), BrokerError> {
        each!(self, queue => queue.set_lines_outside(lines).await)
    }

    /// How many more jobs each of these lines (priority, key) may have. An estimate: the push decides.
    pub(crate) async fn capacity(&self, window: u64, lines: &[(u8, &str)]) -> Result<Vec<u64>, BrokerError> {
        each!(self, queue => queue.capacity(window, lines).await)
    }

    /// Takes out a job that nobody is to run as it is, of this line (priority, key). Returns false if it is leased: then it stays.
    pub(crate) async fn withdraw(&self, lease: Duration, line: (u8, &str), id: JobId) -> Result<bool, BrokerError> {
        each!(self, queue => queue.withdraw(lease, line, id).await)
    }

    /// Whether a wake-up goes to every process, and most of them find nothing.
    pub(crate) fn wakes_everybody(&self) -> bool {
        match self {
            Self::Redis(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// By which name wake-ups of this queue come: see [`super::LeaseThread::wakes`].
    pub(crate) fn wake_name(&self) -> &str {
        match self {
            Self::Redis(queue) => queue.wake_key(),
            Self::Postgres(queue) => queue.wake_name(),
        }
    }
}
