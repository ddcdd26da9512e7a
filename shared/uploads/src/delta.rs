//! A file and an earlier version of it: what is new, what has changed, what is missing. Rows are compared by their keys, as their uploads found
//! them: those that a file brought in, and those that had the keys of its duplicates.

use gristmill_pipelines::Kind;
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
pub async fn version_before(on: impl PgExecutor<'_>, upload: &Upload) -> Result<Option<UploadId>, sqlx::Error> {
    sqlx::query_scalar(
        "select o.id from uploads u join uploads o on o.client_id = u.client_id and o.id < u.id
         where u.id = $1 and o.kind = u.kind and o.filename = u.filename and o.state = 'completed'
           and o.completed_at < u.completed_at
         order by o.id desc limit 1",
    )
    .bind(upload.id)
    .fetch_optional(on)
    .await
}

/// Compares two completed uploads of one client and of a kind whose rows have keys, the later one first.
///
/// `of` has a row for each key of a file: where the row was that had it when the upload was completed, and what became of that. A row that
/// was replaced between the two versions is followed to the one that it replaced (`line`).
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn delta(
    on: impl PgExecutor<'_>,
    kind: Kind,
    upload_id: UploadId,
    against: UploadId,
) -> Result<Delta, sqlx::Error> {
    let replaced = kind.table().replaced();
    let sql = format!(
        "with recursive met (upload_id, line, how) as (
             select upload_id, line, 'changed' from {replaced} where replaced_by = $1
             union all
             select first_upload_id, first_line, min(case when differs is null then 'unchanged' else 'kept' end)
             from rejects where upload_id = $1 and code in ('duplicate', 'billed') and first_upload_id <> $1
             group by first_upload_id, first_line
         ), traced (upload_id, line, from_upload, from_line) as (
             select upload_id, line, upload_id, line from met
             union
             select r.upload_id, r.line, t.from_upload, t.from_line
             from traced t join {replaced} r on r.replaced_by = t.upload_id and r.by_line = t.line
             where t.upload_id <> $2
         ), theirs (upload_id, line) as (
             select distinct first_upload_id, first_line from rejects
             where upload_id = $2 and code in ('duplicate', 'billed') and first_upload_id <> $2
         ), both_have (upload_id, line, how) as (
             select distinct m.upload_id, m.line, m.how
             from traced t join met m on m.upload_id = t.from_upload and m.line = t.from_line
             where t.upload_id = $2 or exists (select from theirs where theirs.upload_id = t.upload_id and theirs.line = t.line)
         ), counted as (
             select count(*) as common, count(*) filter (where how = 'changed') as changed,
                    count(*) filter (where how = 'unchanged') as unchanged, count(*) filter (where how = 'kept') as kept
             from both_have
         )
         select $2 as against, p.accepted - p.replaced + (select count(*) from met) - c.common as new,
                c.changed, c.unchanged, c.kept,
                a.accepted + (select count(*) from theirs) - c.common as missing
         from counted c, upload_progress p, upload_progress a where p.upload_id = $1 and a.upload_id = $2"
    );
    sqlx::query_as(&sql).bind(upload_id).bind(against).fetch_one(on).await
}
