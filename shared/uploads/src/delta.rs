//! A file and an earlier version of it: what is new, what has changed, what is missing. Rows are compared by their keys, as their uploads found
//! them: those that a file brought in, and those that had the keys of its duplicates.

use gristmill_core::ClientId;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor};

use crate::{Upload, UploadId};

/// What a completed upload's file says that an earlier version of it did not. Of a key that came twice in a file its first line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Delta {
    /// The upload of the earlier version.
    #[schema(value_type = Uuid)]
    pub against: UploadId,
    /// Rows whose keys are not in it.
    pub new: i64,
    /// Rows that replaced those of their keys.
    pub changed: i64,
    /// Rows that said the same as those of their keys.
    pub unchanged: i64,
    /// Rows that said something else, and did not replace those of their keys: `on_duplicate` was not `replace`, or they are billed.
    pub kept: i64,
    /// Rows of it whose keys this file does not have.
    pub missing: i64,
}

/// The version before: the client's last completed upload of this kind and name whose file arrived before. None of a file without a name.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn version_before(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    upload: &Upload,
) -> Result<Option<UploadId>, sqlx::Error> {
    let Some(filename) = &upload.filename else { return Ok(None) };
    sqlx::query_scalar(
        "select id from uploads
         where client_id = $1 and filename = $2 and id < $3 and kind = $4 and state = 'completed' and completed_at < $5
         order by id desc limit 1",
    )
    .bind(client_id)
    .bind(filename)
    .bind(upload.id)
    .bind(upload.kind.to_string())
    .bind(upload.completed_at.map(jiff_sqlx::ToSqlx::to_sqlx))
    .fetch_optional(on)
    .await
}

/// Compares two completed uploads of one client and of a kind whose rows have keys, the later one first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn delta(on: impl PgExecutor<'_>, upload_id: UploadId, against: UploadId) -> Result<Delta, sqlx::Error> {
    sqlx::query_as(include_str!("delta.sql")).bind(upload_id).bind(against).fetch_one(on).await
}
