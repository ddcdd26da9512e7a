use bytes::Bytes;
use futures::{Stream, stream};
use gristmill_core::ClientId;
use sqlx::PgPool;

use super::{MessageUsage, Period, Place, page};

/// Messages read at a time: the whole is never held.
const PAGE: i64 = 5_000;

/// All usage of a period as lines of JSON, page by page as it is read.
pub(super) fn all(
    pool: PgPool,
    client_id: ClientId,
    period: Period,
) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> + use<> {
    stream::try_unfold(Some(None), move |after: Option<Option<Place>>| {
        let pool = pool.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let rows = page(&pool, client_id, period, after.as_ref(), PAGE).await.inspect_err(|error| {
                // The answer has begun: all that is left is to break it off, and the client sees that.
                tracing::error!(client_id = client_id.get(), %error, "usage broken off");
            })?;
            let next = rows.last().filter(|_| rows.len() as i64 == PAGE).map(Place::of);
            let mut text = Vec::with_capacity(rows.len() * 128);
            for row in rows {
                serde_json::to_writer(&mut text, &MessageUsage::from(row))?;
                text.push(b'\n');
            }
            Ok(Some((Bytes::from(text), next.map(Some))))
        }
    })
}
