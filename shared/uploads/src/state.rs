//! The changes of state that more than one role makes. Each is one statement that asks for the state it starts from,
//! so that of two racing changes one wins and the other sees that it came too late.

use gristmill_core::ClientId;
use gristmill_queue::{Enqueued, GroupId, Job as _, Options, Queue, QueueError};
use sqlx::PgConnection;

use crate::{Hooks, State, UploadId, UploadRef, jobs::PurgeUpload};

/// What is said of an upload whose receiving process was not heard of for too long. From afar nobody can tell a process that died from
/// one whose words did not come through: the process says more, when it lives and can.
pub const UNHEARD: &str = "nothing was heard of the process that received it: it died, or could not write to the database \
                           (its log says which). The file is not whole: send it again";

/// The number by which transactions agree about an upload. Two uploads may share one: they then wait for each other now
/// and then, nothing more.
fn lock_key(upload_id: UploadId) -> i64 {
    upload_id.get().as_u64_pair().1.cast_signed()
}

/// Keeps an upload from being ended until this transaction is over, and says in which state it is.
///
/// An advisory lock, because a row's share lock would also hold up its other changes (the receiving process' heartbeat, the
/// change to `processing`), for as long as chunks keep coming.
pub async fn lock(conn: &mut PgConnection, upload_id: UploadId) -> Result<Option<State>, sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(lock_key(upload_id)).execute(&mut *conn).await?;
    // A statement of its own, so that it sees what was committed while the lock was waited for.
    let word: Option<String> =
        sqlx::query_scalar("select state from uploads where id = $1").bind(upload_id).fetch_optional(conn).await?;
    word.map(|word| word.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose()
}

/// Keeps uploads from being ended, and from being taken on by a billing run, until this transaction is over. `false`: one is at this
/// moment, and not waited for, as who does that may wait for this transaction.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn try_lock_alone(conn: &mut PgConnection, uploads: &[UploadId]) -> Result<bool, sqlx::Error> {
    let keys: Vec<i64> = uploads.iter().map(|upload| lock_key(*upload)).collect();
    sqlx::query_scalar(
        "select coalesce(bool_and(pg_try_advisory_xact_lock(key)), true) from unnest($1::bigint[]) as k (key)",
    )
    .bind(keys)
    .fetch_one(conn)
    .await
}

/// How an upload ends that will not be completed.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// The states it may come from.
    pub from: &'a [State],
    /// [`State::Failed`] or [`State::Cancelled`].
    pub to: State,
    /// Why, by a word that programs know.
    pub reason: &'a str,
    /// Why, in a sentence.
    pub detail: &'a str,
}

/// Ends an upload that will not be completed: stops its queued chunks and has its rows and objects removed.
/// Waits for the transactions that [`lock`] it, and no later one can commit to it.
///
/// Of a failure the announcer tells. Returns what to push after the commit, or `None` when the upload was in none of those states.
pub async fn end(
    conn: &mut PgConnection,
    queue: &Queue,
    hooks: Hooks,
    upload_id: UploadId,
    end: End<'_>,
) -> Result<Option<Enqueued>, QueueError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(lock_key(upload_id)).execute(&mut *conn).await?;
    let from: Vec<&str> = end.from.iter().map(<&str>::from).collect();
    let ended: Option<(GroupId, ClientId)> = sqlx::query_as(
        // A file that never arrived whole may be sent again with the same key.
        "update uploads set state = $2, reason = $3, detail = $4, completed_at = null,
                idempotency_key = case when received_at is null then null else idempotency_key end
         where id = $1 and state = any($5) returning group_id, client_id",
    )
    .bind(upload_id)
    .bind(<&str>::from(end.to))
    .bind(end.reason)
    .bind(end.detail)
    .bind(from)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((group, client_id)) = ended else { return Ok(None) };
    queue.cancel_group(conn, group).await?;
    let mut jobs = purge(conn, queue, client_id, upload_id).await?;
    if end.to == State::Failed {
        let upload = UploadRef { id: upload_id, client_id };
        jobs.merge(hooks.announcer.announce(conn, queue, upload, State::Failed).await?);
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
    client_id: ClientId,
    upload_id: UploadId,
) -> Result<Enqueued, QueueError> {
    let unique_key = Some(format!("{}:{upload_id}", PurgeUpload::NAME));
    let options = Options { client_id: Some(client_id), unique_key, ..Options::default() };
    queue.enqueue(conn, &PurgeUpload { upload_id }, &options).await
}
