//! The segments of the kinds' rows, as far as others than the worker have to know of them. What they are: docs/internals/segments.md.

use std::time::Duration;

use gristmill_core::ClientId;
use gristmill_queue::{Job, Options, Queue, QueueError};
use sqlx::{PgExecutor, PgPool};

use crate::{
    UploadId,
    jobs::{DropOldRows, TendSegments},
};

/// Where the rows of a completed upload are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segments {
    /// In segments that are its own, in the order of its lines.
    Own(Vec<i32>),
    /// In one that it shares.
    Shared(i32),
}

impl Segments {
    /// Those of an upload whose rows go to that table.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement, or there is no such upload.
    pub async fn of_upload(on: impl PgExecutor<'_>, table: &str, upload_id: UploadId) -> Result<Self, sqlx::Error> {
        let (own, shared): (Vec<i32>, i32) = sqlx::query_as(
            "select array(select id from row_segments where upload_id = $1 order by part),
                    coalesce(segment, (select min(id) from row_segments where table_name = $2 and upload_id is null))
             from upload_progress where upload_id = $1",
        )
        .bind(upload_id)
        .bind(table)
        .fetch_one(on)
        .await?;
        Ok(if own.is_empty() { Self::Shared(shared) } else { Self::Own(own) })
    }
}

/// A segment in which a client's rows may be.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct ClientSegment {
    /// The number of the partition.
    pub id: i32,
    /// All its rows are of one upload of the client's.
    pub is_own: bool,
    /// It takes no more rows, and has a filter of its keys.
    pub is_sealed: bool,
    /// The run that has its keys with those of others.
    pub run_id: Option<i32>,
    /// How many parts that run has.
    pub parts: Option<i32>,
}

/// The segments of a table in which a client's rows may be, in the order in which they were made: its own ones, and those that
/// are shared.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of_client(
    on: impl PgExecutor<'_>,
    table: &str,
    client_id: ClientId,
) -> Result<Vec<ClientSegment>, sqlx::Error> {
    sqlx::query_as(
        "select s.id, s.client_id is not null as is_own, s.state = 'sealed' as is_sealed, s.run_id, r.parts
         from row_segments s left join key_runs r on r.id = s.run_id
         where s.table_name = $1 and (s.client_id = $2 or s.client_id is null) and s.state in ('open', 'full', 'sealed') order by s.id",
    )
    .bind(table)
    .bind(client_id)
    .fetch_all(on)
    .await
}

/// Who adds rows of a client's to a table, or gives some back, has this lock until the end of the transaction. Small uploads go in beside each
/// other, as the key of the segment that they share tells them apart. A large one does so alone, and one that replaces rows.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn lock_client(
    on: impl PgExecutor<'_>,
    table: &str,
    client_id: ClientId,
    alone: bool,
) -> Result<(), sqlx::Error> {
    let lock = match alone {
        true => sqlx::query("select pg_advisory_xact_lock(hashtext($1), $2)"),
        false => sqlx::query("select pg_advisory_xact_lock_shared(hashtext($1), $2)"),
    };
    lock.bind(table).bind(client_id).execute(on).await?;
    Ok(())
}

/// Rows of small uploads after which the next ones go to another segment.
pub const SHARED_ROWS: i64 = 1_000_000;

/// Sealed segments of a client's, or shared ones, of which a run of their keys is made; and runs of which one is made.
pub const RUN: i32 = 8;

/// Bytes of the filter of a segment that is in no run: of more than eight million keys, as a table's first one may have.
pub const LARGE_FILTER: i32 = 20 << 20;

/// Has segments tended where that is needed, unless it is on its way already.
///
/// # Errors
/// When the ledger cannot be reached or refuses a statement.
pub async fn enqueue_tending(pool: &PgPool, queue: &Queue) -> Result<(), QueueError> {
    let needed: bool = sqlx::query_scalar(
        "select exists (select from row_segments where state = 'full')
             or exists (select from row_segments s where s.state = 'open'
                        and (select sum(accepted) from upload_progress where segment = s.id) >= $1)
             or exists (select from row_segments s join uploads u on u.id = s.upload_id where u.purged_at < now() - interval '1 minute')
             or exists (select from row_segments where state = 'sealed' and run_id is null and coalesce(octet_length(key_filter), 0) < $3
                        group by table_name, client_id having count(*) >= $2)
             or exists (select from key_runs group by table_name, client_id, level having count(*) >= $2)
             or exists (select from key_runs r where not exists (select from row_segments s where s.run_id = r.id))
             or exists (select from loaded_keys k join uploads u on u.id = k.upload_id
                        where u.state = 'completed' and u.completed_at < now() - interval '1 day')",
    )
    .bind(SHARED_ROWS)
    .bind(RUN)
    .bind(LARGE_FILTER)
    .fetch_one(pool)
    .await?;
    if needed { enqueue_once(pool, queue, &TendSegments {}).await } else { Ok(()) }
}

/// Has the rows dropped that were kept for so long, where some may be, unless that is on its way already. `keep` counts in seconds,
/// and is one at least.
///
/// # Errors
/// When the ledger cannot be reached or refuses a statement.
pub async fn enqueue_dropping(pool: &PgPool, queue: &Queue, keep: Duration) -> Result<(), QueueError> {
    let keep_seconds = u32::try_from(keep.as_secs()).unwrap_or(u32::MAX).max(1);
    // One that is there is looked at again after a hundredth of that time.
    let needed: bool = sqlx::query_scalar(
        "select exists (select from row_segments where state = 'dropping')
             or exists (select from row_segments s where s.state = 'open' and s.created_at < now() - $1 * interval '1 second'
                        and exists (select from upload_progress where segment = s.id and accepted > 0))
             or exists (select from row_segments s left join uploads u on u.id = s.upload_id
                        where s.state = 'sealed'
                          and (u.completed_at < now() - $1 * interval '1 second' or s.upload_id is null and s.key_filter is not null)
                          and (s.looked_at is null or s.looked_at < now() - $1 * interval '10 milliseconds'))",
    )
    .bind(f64::from(keep_seconds))
    .fetch_one(pool)
    .await?;
    if needed { enqueue_once(pool, queue, &DropOldRows { keep_seconds }).await } else { Ok(()) }
}

/// Enqueues a job, unless one of its name waits.
async fn enqueue_once<J: Job>(pool: &PgPool, queue: &Queue, job: &J) -> Result<(), QueueError> {
    let mut tx = pool.begin().await?;
    let options = Options { unique_key: Some(J::NAME.to_owned()), ..Options::default() };
    let jobs = queue.enqueue(&mut tx, job, &options).await?;
    tx.commit().await?;
    queue.push(jobs).await;
    Ok(())
}
