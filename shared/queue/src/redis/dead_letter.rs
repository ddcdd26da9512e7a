//! Where the backend stores a job that it will not deliver again.

use apalis_core::error::BoxDynError;
use futures::future::BoxFuture;

use super::{Broker, LostDelivery, connection::ReconnectingConnection};

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

/// The default sink: a list in Redis beside the queue, which keeps the last thousand dead letters for a week.
#[derive(Clone)]
pub struct RedisDeadLetters {
    connection: ReconnectingConnection,
    key: String,
}

impl RedisDeadLetters {
    const MAX_KEPT: isize = 1_000;
    const RETENTION_SECONDS: i64 = 7 * 24 * 3_600;

    pub(super) fn new(connection: ReconnectingConnection, broker: &Broker) -> Self {
        Self { connection, key: broker.dead_letters_key() }
    }
}

impl DeadLetterSink for RedisDeadLetters {
    fn store(&self, job: DeadLetter) -> BoxFuture<'_, Result<(), BoxDynError>> {
        let mut conn = self.connection.conn();
        Box::pin(async move {
            let entry = serde_json::json!({
                "id": job.id,
                "reason": format!("{:?}", job.reason),
                "payload": String::from_utf8_lossy(&job.payload),
            });
            let () = ::redis::pipe()
                .lpush(&self.key, entry.to_string())
                .ignore()
                .ltrim(&self.key, 0, Self::MAX_KEPT - 1)
                .ignore()
                .expire(&self.key, Self::RETENTION_SECONDS)
                .ignore()
                .query_async(&mut conn)
                .await?;
            Ok(())
        })
    }
}
