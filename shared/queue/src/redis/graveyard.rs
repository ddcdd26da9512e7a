//! Where a job goes that this backend will not deliver again.

use apalis_core::error::BoxDynError;
use futures::future::BoxFuture;

use super::{Broker, LostDelivery, link::Link};

/// Why a job is not delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its workers were lost, or failed, this often.
    LostWorker {
        /// Deliveries that ended without success.
        deliveries: u64,
    },
    /// Its payload does not decode.
    Undecodable(String),
    /// Its service said that another attempt is useless.
    Aborted(String),
}

/// A job to be buried.
#[derive(Debug, Clone)]
pub struct Buried {
    /// The job.
    pub id: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Why.
    pub reason: Reason,
}

/// Takes over the jobs that are given up. A job stays leased until this succeeds.
pub trait Graveyard: Send + Sync + 'static {
    /// Keeps, reports or settles the job elsewhere. Is asked again when it fails.
    fn bury(&self, job: Buried) -> BoxFuture<'_, Result<(), BoxDynError>>;

    /// Hears of deliveries whose workers were lost, for a history: of each at least once. Is asked again when it fails.
    fn lost(&self, deliveries: Vec<LostDelivery>) -> BoxFuture<'_, Result<(), BoxDynError>> {
        drop(deliveries);
        Box::pin(async { Ok(()) })
    }
}

/// The default: a list in Redis beside the queue, the last thousand, for a week.
#[derive(Clone)]
pub struct ListGraveyard {
    link: Link,
    key: String,
}

impl ListGraveyard {
    const KEPT: isize = 1_000;
    const SECONDS: i64 = 7 * 24 * 3_600;

    pub(super) fn new(link: Link, broker: &Broker) -> Self {
        Self { link, key: broker.graveyard_key() }
    }
}

impl Graveyard for ListGraveyard {
    fn bury(&self, job: Buried) -> BoxFuture<'_, Result<(), BoxDynError>> {
        let mut conn = self.link.conn();
        Box::pin(async move {
            let entry = serde_json::json!({
                "id": job.id,
                "reason": format!("{:?}", job.reason),
                "payload": String::from_utf8_lossy(&job.payload),
            });
            let () = ::redis::pipe()
                .lpush(&self.key, entry.to_string())
                .ignore()
                .ltrim(&self.key, 0, Self::KEPT - 1)
                .ignore()
                .expire(&self.key, Self::SECONDS)
                .ignore()
                .query_async(&mut conn)
                .await?;
            Ok(())
        })
    }
}
