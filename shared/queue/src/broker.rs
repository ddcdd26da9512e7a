//! The seam between the queue and its broker, which decides which worker runs a job now. Everything above it (workers, sweep,
//! control) works on any broker; what a broker keeps, and how, is in the folder of each.

mod config;
mod error;
mod failed_deliveries;
mod lease;
mod limits;
mod links;
mod load;
mod push;
mod queue;
mod registry;

pub use config::{BrokerConfig, BrokerConfigError};
pub use error::BrokerError;
pub use failed_deliveries::{FailedDeliveries, LostDelivery};
pub use lease::Lease;
pub(crate) use lease::{ClaimResult, LeaseRelease, REAP_BATCH_SIZE, ReapResult, ReleaseReason, Throttle};
pub use limits::Limits;
pub(crate) use links::{LeaseThread, Links, OneThread};
pub use load::Load;
pub use push::BrokerJob;
pub(crate) use push::{PushResult, Window};
pub(crate) use queue::BrokerQueue;
pub(crate) use registry::{Entry, HEARTBEAT_INTERVAL, Heartbeat, HeartbeatReply, MAX_NAMED_JOBS, WORKER_TTL, json};
pub use registry::{KnownJob, RunningView, WorkerQueueView, WorkerView};

use uuid::Uuid;

use crate::{JobId, Progress, postgres::PostgresTables, redis::RedisNamespace};

/// All queues of an application in its broker, over one connection. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Broker {
    Redis(RedisNamespace),
    Postgres(PostgresTables),
}

/// Calls the same method of each broker.
macro_rules! each {
    ($self:ident, $broker:ident => $call:expr) => {
        match $self {
            Self::Redis($broker) => Ok($call?),
            Self::Postgres($broker) => Ok($call?),
        }
    };
}

impl Broker {
    /// One of its queues.
    pub(crate) fn queue(&self, name: &str) -> BrokerQueue {
        match self {
            Self::Redis(redis) => BrokerQueue::Redis(redis.queue(name)),
            Self::Postgres(postgres) => BrokerQueue::Postgres(postgres.queue(name)),
        }
    }

    /// The workers that have sent a heartbeat lately, by label.
    pub(crate) async fn workers(&self) -> Result<Vec<WorkerView>, BrokerError> {
        each!(self, broker => broker.workers().await)
    }

    /// Whether a worker with this id is alive.
    pub(crate) async fn knows_worker(&self, id: Uuid) -> Result<bool, BrokerError> {
        each!(self, broker => broker.knows_worker(id).await)
    }

    /// Asks a worker to take no more jobs. Returns false if no such worker is alive.
    pub(crate) async fn drain_worker(&self, id: Uuid) -> Result<bool, BrokerError> {
        each!(self, broker => broker.drain_worker(id).await)
    }

    /// Records that a worker is alive, what one of its queues does and, where the registry lacks them, the jobs that it can
    /// read.
    pub(crate) async fn heartbeat(
        &self,
        worker: Uuid,
        heartbeat: &Heartbeat,
        (entry, view): (Uuid, &WorkerQueueView),
        known_jobs: Option<&[KnownJob]>,
    ) -> Result<HeartbeatReply, BrokerError> {
        each!(self, broker => broker.heartbeat(worker, heartbeat, (entry, view), known_jobs).await)
    }

    /// Removes one queue of a worker from the registry, and the worker with its last queue.
    pub(crate) async fn deregister(&self, worker: Uuid, entry: Uuid) -> Result<(), BrokerError> {
        each!(self, broker => broker.deregister(worker, entry).await)
    }

    /// False: the broker has lost its data, or has not yet been given everything that waits.
    pub(crate) async fn has_epoch(&self) -> Result<bool, BrokerError> {
        each!(self, broker => broker.has_epoch().await)
    }

    /// From now on a loss of the broker's data shows.
    pub(crate) async fn begin_epoch(&self) -> Result<(), BrokerError> {
        each!(self, broker => broker.begin_epoch().await)
    }

    /// What a running job last said of its progress.
    pub(crate) async fn progress(&self, id: JobId) -> Result<Option<Progress>, BrokerError> {
        each!(self, broker => broker.progress(id).await)
    }

    /// Keeps what running jobs say of their progress, for a while.
    pub(crate) async fn publish_progress(&self, said: &[(JobId, Progress)]) -> Result<(), BrokerError> {
        each!(self, broker => broker.publish_progress(said).await)
    }
}
