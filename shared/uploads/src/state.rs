//! The changes of state that more than one role makes. Each is one statement that asks for the state it starts from,
//! so that of two racing changes one wins and the other sees that it came too late.

use gristmill_queue::{Enqueued, GroupId, Options, Queue, QueueError};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{State, jobs::PurgeUpload};

/// Ends an upload that will not be completed: stops its queued chunks and has its rows and objects removed.
/// The state is changed first: that waits for the chunks whose transactions are running, and no later one can commit.
///
/// `to` is [`State::Failed`] or [`State::Cancelled`]; `from` lists the states it may come from.
/// Returns what to push after the commit, or `None` when the upload was in none of those states.
pub async fn end(
    conn: &mut PgConnection,
    queue: &Queue,
    upload_id: Uuid,
    from: &[State],
    to: State,
    reason: &str,
    detail: &str,
) -> Result<Option<Enqueued>, QueueError> {
    let from: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
    let group: Option<GroupId> = sqlx::query_scalar(
        // A file that never arrived whole may be sent again with the same key.
        "update uploads set state = $2, reason = $3, detail = $4, completed_at = null,
                idempotency_key = case when received_at is null then null else idempotency_key end
         where id = $1 and state = any($5) returning group_id",
    )
    .bind(upload_id)
    .bind(to.as_str())
    .bind(reason)
    .bind(detail)
    .bind(from)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(group) = group else { return Ok(None) };
    queue.cancel_group(conn, group).await?;
    queue.enqueue(conn, &PurgeUpload { upload_id }, &Options::default()).await.map(Some)
}
