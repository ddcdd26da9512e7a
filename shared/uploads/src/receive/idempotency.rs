//! The same request again: an idempotency key is answered with the upload that it was answered with before.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::{NewUpload, ReceiveError, ReceiveOutcome, UploadService, session::said};
use crate::{State, Upload, UploadId, read};

/// A request with the same idempotency key, and the upload that it was answered with.
pub(super) struct PriorUpload {
    upload: Upload,
    row: KeyRow,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    upload_id: UploadId,
    /// The request made it; else its file had been there already.
    made: bool,
    policy: String,
    on_duplicate: String,
    filename: Option<String>,
    forced: bool,
    said: Option<String>,
}

impl UploadService {
    /// Writes down that this request is answered with an upload that it has not made.
    pub(super) async fn remember(&self, new: &NewUpload, upload_id: UploadId) -> Result<(), ReceiveError> {
        let Some(key) = &new.idempotency_key else { return Ok(()) };
        sqlx::query(
            "insert into upload_keys (client_id, key, upload_id, policy, filename, said, on_duplicate) values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (client_id, key) do nothing",
        )
        .bind(new.client_id)
        .bind(key)
        .bind(upload_id)
        .bind(<&str>::from(new.policy))
        .bind(&new.filename)
        .bind(said(new))
        .bind(<&str>::from(new.on_duplicate))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The request made before with this idempotency key, if there was one.
    pub(super) async fn keyed(&self, new: &NewUpload) -> Result<Option<PriorUpload>, ReceiveError> {
        let Some(key) = &new.idempotency_key else { return Ok(None) };
        let found: Option<KeyRow> = sqlx::query_as(
            "select id as upload_id, true as made, policy, on_duplicate, filename, forced, said from uploads
             where client_id = $1 and idempotency_key = $2
             union all
             select upload_id, false, policy, on_duplicate, filename, false, said from upload_keys where client_id = $1 and key = $2
             limit 1",
        )
        .bind(new.client_id)
        .bind(key)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let Some(upload) = read::find(&self.pool, new.client_id, row.upload_id).await? else { return Ok(None) };
        // Between the two reads it may have been ended before it was whole, which gives its key back: the file is taken again.
        let has_the_key = upload.state == State::Receiving || upload.received_at.is_some();
        Ok(has_the_key.then_some(PriorUpload { upload, row }))
    }

    /// Answers a request made before: reads the body to its end to see that it is the same.
    pub(super) async fn replay<S, E>(
        &self,
        new: &NewUpload,
        earlier: PriorUpload,
        mut body: S,
    ) -> Result<ReceiveOutcome, ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::error::Error + Send + Sync + 'static,
    {
        let PriorUpload { upload: first, row } = earlier;
        if first.state == State::Receiving {
            return Err(ReceiveError::KeyInFlight);
        }
        let asked = (row.policy.as_str(), row.on_duplicate.as_str(), row.forced, row.filename.as_deref(), row.said);
        let asks = (new.policy.into(), new.on_duplicate.into(), new.force, new.filename.as_deref(), said(new));
        if first.kind != new.kind || asked != asks {
            return Err(ReceiveError::KeyReused);
        }
        let mut bytes = 0;
        let mut hash = Sha256::new();
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(|source| ReceiveError::Broken { upload_id: None, source: source.into() })?;
            bytes += frame.len() as u64;
            if bytes > self.limits.max_file_bytes {
                return Err(ReceiveError::TooLarge { limit: self.limits.max_file_bytes, upload_id: None });
            }
            hash.update(&frame);
        }
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if first.sha256.as_ref().is_some_and(|known| *known != sha256) {
            return Err(ReceiveError::KeyReused);
        }
        Ok(if row.made { ReceiveOutcome::Replayed(first) } else { ReceiveOutcome::Same(first) })
    }
}
