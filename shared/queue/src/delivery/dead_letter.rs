//! Where the backend stores a job that it will not deliver again.

use apalis_core::error::BoxDynError;
use futures::future::BoxFuture;

use crate::broker::LostDelivery;

/// Why a job is not delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// Too many of its deliveries ended because a worker was lost or the service failed.
    LostWorker {
        /// Deliveries that ended without success.
        deliveries: u64,
    },
    /// Its payload does not decode.
    Undecodable(String),
    /// Its service said that another attempt is useless.
    Aborted(String),
}

/// A job that is not delivered again.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The job.
    pub id: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Why it is not delivered again.
    pub reason: DeadLetterReason,
}

/// Stores dead letters. A job stays leased until the sink has stored it.
pub trait DeadLetterSink: Send + Sync + 'static {
    /// Stores the job, or finishes it elsewhere. The backend calls this again when it returns an error.
    fn store(&self, job: DeadLetter) -> BoxFuture<'_, Result<(), BoxDynError>>;

    /// Records deliveries whose workers were lost, for a history. The backend reports each of them at least once, and calls
    /// this again when it returns an error.
    fn record_lost(&self, deliveries: Vec<LostDelivery>) -> BoxFuture<'_, Result<(), BoxDynError>> {
        drop(deliveries);
        Box::pin(async { Ok(()) })
    }
}
