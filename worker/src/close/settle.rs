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
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::{Env, load::ChunkRecord};

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
    id: Uuid,
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
pub(super) async fn settle(env: &Env, context: &Context, upload_id: Uuid) -> Result<Outcome, JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Err(JobError::Cancelled);
    }
    let open: i64 = sqlx::query_scalar("select coalesce(sum(unsettled), 0)::bigint from chunks where upload_id = $1")
        .bind(upload_id)
        .fetch_one(&mut *tx)
        .await?;
    if open == 0 {
        return Ok(Outcome::Settled);
    }
    // Of files that wait for each other the first to look passes here, so none waits for ever.
    sqlx::query("update uploads set loaded_at = coalesce(loaded_at, now()) where id = $1 and state = 'processing'")
        .bind(upload_id)
        .execute(&env.pool)
        .await?;
    let others: Vec<Other> = sqlx::query_as(
        "select u.id, u.state, u.purged_at is not null as purged, exists (
             with recursive behind (id) as (
                 select u.id union
                 select w.on_upload_id from behind b join uploads l on l.id = b.id and l.loaded_at is not null
                 join upload_waits w on w.upload_id = b.id)
             select from behind where id = $1) as mutual
         from upload_waits w join uploads u on u.id = w.on_upload_id where w.upload_id = $1",
    )
    .bind(upload_id)
    .fetch_all(&mut *tx)
    .await?;
    if others.iter().any(|other| !other.stays() && !other.purged) {
        return Ok(Outcome::Wait);
    }
    let Some(chunk) = ChunkRecord::find(env, upload_id, 0).await? else {
        return Err(JobError::Cancelled);
    };
    sqlx::query("delete from upload_waits where upload_id = $1").bind(upload_id).execute(&mut *tx).await?;
    let gone: Vec<Uuid> = others.iter().filter(|other| !other.stays()).map(|other| other.id).collect();
    let still_open = orphaned::settle(&mut tx, &chunk, &gone).await?;
    // Second, as an orphan may come before a line that took its key meanwhile.
    displaced::settle(env, &mut tx, &chunk).await?;
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

/// Moves counts of chunks: (chunk number, rows that become accepted; negative: that become duplicates).
async fn recount(conn: &mut PgConnection, upload_id: Uuid, moves: &[(i32, i64)]) -> Result<(), sqlx::Error> {
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
