//! Dead letters of an application that has no other place for them.

use apalis_core::error::BoxDynError;
use futures::future::BoxFuture;

use super::{Broker, connection::ReconnectingConnection};
use crate::delivery::{DeadLetter, DeadLetterSink};

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
