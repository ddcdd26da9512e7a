//! The changes of state that more than one role makes. Each is one statement that asks for the state it starts from,
//! so that of two racing changes one wins and the other sees that it came too late.

use gristmill_mail::{Kind, operator};
use gristmill_queue::{Enqueued, GroupId, Job as _, Options, Queue, QueueError};
use gristmill_webhooks::{Event, EventType, Rows, UploadEnd};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{State, Upload, jobs::PurgeUpload, read};

/// What is said of an upload whose receiving process was not heard of for too long. From afar nobody can tell a process that died from
/// one whose words did not come through: the process says more, when it lives and can.
pub const UNHEARD: &str = "nothing was heard of the process that received it: it died, or could not write to the database \
                           (its log says which). The file is not whole: send it again";

/// The number by which transactions agree about an upload. Two uploads may share one: they then wait for each other now
/// and then, nothing more.
fn lock_key(upload_id: Uuid) -> i64 {
    upload_id.as_u64_pair().1.cast_signed()
}

/// Keeps an upload from being ended until this transaction is over, and says in which state it is.
///
/// An advisory lock, because a row's share lock would also hold up its other changes (the receiving process' heartbeat, the
/// change to `processing`), for as long as chunks keep coming.
pub async fn lock(conn: &mut PgConnection, upload_id: Uuid) -> Result<Option<State>, sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(lock_key(upload_id)).execute(&mut *conn).await?;
    // A statement of its own, so that it sees what was committed while the lock was waited for.
    let word: Option<String> =
        sqlx::query_scalar("select state from uploads where id = $1").bind(upload_id).fetch_optional(conn).await?;
    word.map(|word| word.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose()
}

/// Ends an upload that will not be completed: stops its queued chunks and has its rows and objects removed.
/// Waits for the transactions that [`lock`] it, and no later one can commit to it.
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
    sqlx::query("select pg_advisory_xact_lock($1)").bind(lock_key(upload_id)).execute(&mut *conn).await?;
    let from: Vec<&str> = from.iter().map(<&str>::from).collect();
    let ended: Option<(GroupId, i32)> = sqlx::query_as(
        // A file that never arrived whole may be sent again with the same key.
        "update uploads set state = $2, reason = $3, detail = $4, completed_at = null,
                idempotency_key = case when received_at is null then null else idempotency_key end
         where id = $1 and state = any($5) returning group_id, client_id",
    )
    .bind(upload_id)
    .bind(<&str>::from(to))
    .bind(reason)
    .bind(detail)
    .bind(from)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((group, client_id)) = ended else { return Ok(None) };
    queue.cancel_group(conn, group).await?;
    let mut jobs = purge(conn, queue, client_id, upload_id).await?;
    if to == State::Failed {
        jobs.merge(operator::tell(conn, queue, client_id, Kind::UploadFailed, upload_id.to_string()).await?);
        jobs.merge(publish(conn, queue, client_id, upload_id, EventType::UploadFailed).await?);
    }
    Ok(Some(jobs))
}

/// Has the rows and objects of an ended upload removed, unless that waits to be done already.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn purge(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: i32,
    upload_id: Uuid,
) -> Result<Enqueued, QueueError> {
    let unique_key = Some(format!("{}:{upload_id}", PurgeUpload::NAME));
    let options = Options { client_id: Some(client_id), unique_key, ..Options::default() };
    queue.enqueue(conn, &PurgeUpload { upload_id }, &options).await
}

/// Tells the client's webhooks how an upload has ended, in the transaction that ends it.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn publish(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: i32,
    upload_id: Uuid,
    event: EventType,
) -> Result<Enqueued, QueueError> {
    if !gristmill_webhooks::wanted(&mut *conn, client_id, event).await? {
        return Ok(Enqueued::default());
    }
    let Some(upload) = read::by_id(&mut *conn, upload_id).await? else { return Ok(Enqueued::default()) };
    let event = match event {
        EventType::UploadFailed => Event::UploadFailed(end_of(upload)),
        _ => Event::UploadCompleted(end_of(upload)),
    };
    gristmill_webhooks::publish(conn, queue, client_id, &event).await
}

fn end_of(upload: Upload) -> UploadEnd {
    UploadEnd {
        id: upload.id,
        kind: upload.kind.to_string(),
        state: upload.state.to_string(),
        filename: upload.filename,
        bytes: upload.bytes,
        sha256: upload.sha256,
        rows: Rows {
            read: upload.rows.read,
            accepted: upload.rows.accepted,
            rejected: upload.rows.rejected,
            duplicate: upload.rows.duplicate,
            conflicting_duplicate: upload.rows.conflicting_duplicate,
        },
        reason: upload.reason,
        detail: upload.detail,
        created_at: upload.created_at,
    }
}
