//! How one job has ended: for who waits for it.

use serde_json::Value;
use sqlx::types::Json;

use super::Jobs;
use crate::{CodecError, Content, ContentKind, JobId, JobState, Queue, QueueError, codec};

/// Where a job stands, and what it came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JobOutcome {
    /// Where it stands.
    pub state: JobState,
    /// What it came to, if it has a result.
    pub result: Option<Value>,
    /// Its last error.
    pub error: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    state: JobState,
    result: Option<Json<Value>>,
    last_error: Option<String>,
}

impl Jobs {
    /// How a job stands, by one look at its row.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails, or [`QueueError::Codec`] if its result is encrypted and
    /// cannot be decrypted here.
    pub async fn outcome(&self, id: JobId) -> Result<Option<JobOutcome>, QueueError> {
        let found: Option<Row> = sqlx::query_as(
            self.queue.schema().sql("select name, state, result, last_error from gristmill.jobs where id = $1"),
        )
        .bind(id)
        .fetch_optional(self.queue.pool())
        .await?;
        let Some(Row { name, state, result, last_error: error }) = found else { return Ok(None) };
        let result = result.map(|result| self.queue.readable_result(&name, result.0)).transpose()?;
        Ok(Some(JobOutcome { state, result, error }))
    }

    /// Where a job stands, if there is such a one.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn state(&self, id: JobId) -> Result<Option<JobState>, QueueError> {
        let state = self.queue.schema().sql("select state from gristmill.jobs where id = $1");
        Ok(sqlx::query_scalar(state).bind(id).fetch_optional(self.queue.pool()).await?)
    }
}

impl Queue {
    /// The result of a job of this name, as the ledger has it ([`JobDetail::result`](crate::JobDetail)): decrypted, if it is
    /// encrypted.
    ///
    /// # Errors
    /// Returns an error if it is encrypted with a key that is not here, or was changed.
    pub fn readable_result(&self, job: &str, kept: Value) -> Result<Value, CodecError> {
        if codec::encryption_key(&kept).is_none() {
            return Ok(kept);
        }
        let content = Content::new(job, ContentKind::Result);
        let json = kept.to_string();
        let json = codec::decode(self.config().codec(), content, &json)?;
        serde_json::from_str(&json).map_err(|error| CodecError::Decode {
            kind: ContentKind::Result,
            key: codec::encryption_key(&kept).unwrap_or_default().to_owned(),
            source: error.into(),
        })
    }
}
