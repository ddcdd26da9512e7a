//! Duplicates on which a chunk could not have the last word.
//!
//! *Displaced*: chunks run in any order, so a later line of the file may have taken a key before an earlier one came.
//! The first line wins: the two change places.
//! *Orphaned*: a row lost its key to a file that was not closed yet and then failed. It gets its chance again.
//! *Compared*: a duplicate was compared with a row that another one has displaced. It is compared with that one.

mod compared;
mod displaced;
mod orphaned;

use gristmill_queue::{Context, Fence, JobError};
use gristmill_uploads::UploadId;
use sqlx::{FromRow, PgConnection, Postgres, Transaction};

use crate::{Env, load::Chunk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing is open any more.
    Settled,
    /// An upload that has rows of ours has not ended yet.
    Wait,
}

/// Another upload that had a key of ours.
#[derive(FromRow)]
struct Other {
    id: UploadId,
    state: String,
    /// It waits for us as we wait for it, perhaps by way of others, and is as far as we are.
    mutual: bool,
    purged: bool,
}

impl Other {
    /// Its rows will stay: it is closed, or each of the two would wait for the other for ever.
    fn stays(&self) -> bool {
        self.state == "completed" || (self.state == "processing" && self.mutual)
    }
}

/// Settles what is open, or says that it is too early.
pub(super) async fn settle(env: &Env, context: &Context, upload_id: UploadId) -> Result<Outcome, JobError> {
    let open: i64 = sqlx::query_scalar("select coalesce(sum(unsettled), 0)::bigint from chunks where upload_id = $1")
        .bind(upload_id)
        .fetch_one(&env.pool)
        .await?;
    if open == 0 {
        return Ok(Outcome::Settled);
    }
    settle_within(env, context, upload_id).await?;
    settle_among(env, context, upload_id).await
}

/// What the file can settle by itself. Of files that wait for each other each has done this before one passes, and the first
/// to look then does, so none waits for ever.
async fn settle_within(env: &Env, context: &Context, upload_id: UploadId) -> Result<(), JobError> {
    let mut tx = begin(env, context).await?;
    let first = sqlx::query(
        "update uploads set loaded_at = now() where id = $1 and state = 'processing' and loaded_at is null",
    )
    .bind(upload_id)
    .execute(&mut *tx)
    .await?;
    if first.rows_affected() > 0 {
        displaced::settle(env, &mut tx, &first_chunk(env, upload_id).await?).await?;
    }
    Ok(tx.commit().await?)
}

/// What depends on the end of others.
async fn settle_among(env: &Env, context: &Context, upload_id: UploadId) -> Result<Outcome, JobError> {
    let mut tx = begin(env, context).await?;
    let others = others(&mut tx, upload_id).await?;
    if others.iter().any(|other| !other.stays() && !other.purged) {
        return Ok(Outcome::Wait);
    }
    sqlx::query("delete from upload_waits where upload_id = $1").bind(upload_id).execute(&mut *tx).await?;
    let ids =
        |stay: bool| others.iter().filter(|other| other.stays() == stay).map(|other| other.id).collect::<Vec<_>>();
    let (stay, gone) = (ids(true), ids(false));
    let chunk = first_chunk(env, upload_id).await?;
    let still_open = orphaned::settle(&mut tx, &chunk, &gone).await?;
    // Once more, as an orphan may come before a line that took its key meanwhile.
    displaced::settle(env, &mut tx, &chunk).await?;
    follow(&mut tx, upload_id, &stay).await?;
    compared::settle(&mut tx, &chunk).await?;
    if !still_open {
        sqlx::query("update chunks set unsettled = 0 where upload_id = $1 and unsettled <> 0")
            .bind(upload_id)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(if still_open { Outcome::Wait } else { Outcome::Settled })
}

/// The chunk that stands for its file: all of them are read by the same rules.
async fn first_chunk(env: &Env, upload_id: UploadId) -> Result<Chunk, JobError> {
    Chunk::find(env, upload_id, 0).await?.ok_or(JobError::Cancelled)
}

/// A transaction of the job, as long as it is ours.
async fn begin(env: &Env, context: &Context) -> Result<Transaction<'static, Postgres>, JobError> {
    let mut tx = env.pool.begin().await?;
    match env.queue.lock(&mut tx, &context.claim).await? {
        Fence::Held => Ok(tx),
        Fence::AlreadyDone => Err(JobError::Cancelled),
    }
}

/// The uploads whose ends an upload waits for.
async fn others(conn: &mut PgConnection, upload_id: UploadId) -> Result<Vec<Other>, sqlx::Error> {
    sqlx::query_as(
        "select u.id, u.state, u.purged_at is not null as purged, exists (
             with recursive behind (id) as (
                 select u.id union
                 select w.on_upload_id from behind b join uploads l on l.id = b.id and l.loaded_at is not null
                 join upload_waits w on w.upload_id = b.id)
             select from behind where id = $1) as mutual
         from upload_waits w join uploads u on u.id = w.on_upload_id where w.upload_id = $1",
    )
    .bind(upload_id)
    .fetch_all(conn)
    .await
}

/// Who lost to a line of another file that was displaced there since has lost to the one that took its place, with which it
/// is to be compared.
async fn follow(conn: &mut PgConnection, upload_id: UploadId, others: &[UploadId]) -> Result<(), sqlx::Error> {
    if others.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update rejects r set first_upload_id = d.first_upload_id, first_line = d.first_line, differs = '{}'
         from rejects d
         where r.upload_id = $1 and r.code = 'duplicate' and r.first_upload_id = any($2)
           and d.upload_id = r.first_upload_id and d.line = r.first_line and d.code = 'duplicate'",
    )
    .bind(upload_id)
    .bind(others)
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves counts of chunks: (chunk number, rows that become accepted; negative: that become duplicates).
async fn recount(conn: &mut PgConnection, upload_id: UploadId, moves: &[(i32, i64)]) -> Result<(), sqlx::Error> {
    let (numbers, deltas): (Vec<i32>, Vec<i64>) = moves.iter().copied().unzip();
    sqlx::query(
        "update chunks c set accepted = c.accepted + m.delta, duplicate = c.duplicate - m.delta
         from (select no, sum(delta)::bigint as delta from unnest($2::int[], $3::bigint[]) as t (no, delta) group by no) m
         where c.upload_id = $1 and c.no = m.no",
    )
    .bind(upload_id)
    .bind(&numbers)
    .bind(&deltas)
    .execute(&mut *conn)
    .await?;
    let total: i64 = deltas.iter().sum();
    sqlx::query(
        "update upload_progress set accepted = accepted + $2, loaded = loaded + $2, duplicate = duplicate - $2
         where upload_id = $1",
    )
    .bind(upload_id)
    .bind(total)
    .execute(conn)
    .await?;
    Ok(())
}
