//! Rows that were kept for long enough go with their segment: its partition is dropped, and no row is deleted.
//!
//! First the segment ceases to count, so that its keys are free. Then its uploads say that their rows are dropped. Then the partition
//! goes. Each step is a transaction of its own, and what a crash leaves in the middle the next job finishes.

use std::collections::HashSet;

use gristmill::Data;
use gristmill_kinds::hooks;
use gristmill_pipelines::Kind;
use gristmill_queue::JobError;
use gristmill_uploads::{UploadId, jobs::DropOldRows, replaced};
use sqlx::{Executor as _, PgPool};

use super::tend::{open_in_time, tables};
use crate::Env;

/// Uploads of a segment that are marked by one transaction.
const MARKED: i64 = 10_000;

/// Does it. Safe to be done twice, and at a time.
pub(crate) async fn drop_old_rows(job: DropOldRows, Data(env): Data<Env>) -> Result<(), JobError> {
    let keep = f64::from(job.keep_seconds);
    for table in tables() {
        open_in_time(&env.pool, table, Some(keep)).await?;
    }
    for segments in old(&env.pool, keep).await? {
        look(&env.pool, &segments, keep).await?;
    }
    finish(&env.pool).await
}

/// What may go: shared segments, each by itself, and those of an upload's own together; those first that were looked at longest
/// ago. What is left is for the next job.
async fn old(pool: &PgPool, keep: f64) -> Result<Vec<Vec<i32>>, sqlx::Error> {
    sqlx::query_scalar(
        "select array_agg(s.id order by s.id)
         from row_segments s left join uploads u on u.id = s.upload_id
         group by s.table_name, s.upload_id, case when s.upload_id is null then s.id end
         having bool_and(s.state = 'sealed'
                and (u.completed_at < now() - $1 * interval '1 second' or s.upload_id is null and s.key_filter is not null)
                and (s.looked_at is null or s.looked_at < now() - $1 * interval '10 milliseconds'))
         order by min(s.looked_at) nulls first, min(s.id) limit 100",
    )
    .bind(keep)
    .fetch_all(pool)
    .await
}

/// Has these segments cease to count, if nothing of them is needed any more.
async fn look(pool: &PgPool, segments: &[i32], keep: f64) -> Result<(), JobError> {
    let mut tx = pool.begin().await?;
    // A segment may have a million bills, each of which is looked at.
    tx.execute("set local statement_timeout = 0").await?;
    let locked: Vec<i32> = sqlx::query_scalar(
        "select id from row_segments where id = any($1) and state = 'sealed' order by id for update skip locked",
    )
    .bind(segments)
    .fetch_all(&mut *tx)
    .await?;
    if locked.len() < segments.len() {
        return Ok(());
    }
    let is_over: bool =
        sqlx::query_scalar(include_str!("is_over.sql")).bind(segments).bind(keep).fetch_one(&mut *tx).await?;
    sqlx::query(
        "update row_segments set looked_at = now(), state = case when $2 then 'dropping' else state end where id = any($1)",
    )
    .bind(segments)
    .bind(is_over)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Drops what does not count any more. Who reads the table is waited for, but not for long, as others wait behind this: what cannot be
/// dropped now, the next job drops.
async fn finish(pool: &PgPool) -> Result<(), JobError> {
    let dropping: Vec<(i32, String)> =
        sqlx::query_as("select id, table_name from row_segments where state = 'dropping' order by id")
            .fetch_all(pool)
            .await?;
    // First all of them: until then a file that is sent again would be answered with one whose keys are free.
    for (segment, table) in &dropping {
        mark(pool, *segment, table.parse()?).await?;
    }
    let mut busy = HashSet::new();
    for (segment, table) in dropping {
        if busy.contains(&table) {
            continue;
        }
        match drop_segment(pool, segment).await {
            Ok(()) => tracing::info!(table, segment, "dropped old rows"),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                tracing::info!(table, segment, "old rows are dropped later: their table is in use");
                busy.insert(table);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Has the segment's uploads say that their rows are dropped, and forgets what is kept beside these.
async fn mark(pool: &PgPool, segment: i32, kind: Kind) -> Result<(), JobError> {
    loop {
        let mut tx = pool.begin().await?;
        // One that is undone at this moment is waited for, and left to its purge.
        let marked: Vec<UploadId> = sqlx::query_scalar(
            "update uploads set rows_dropped_at = now() where state = 'completed' and id in (
                 select u.id from uploads_of_segment($1) m (id) join uploads u on u.id = m.id
                 where u.state = 'completed' and u.rows_dropped_at is null order by u.id limit $2 for update of u)
             returning id",
        )
        .bind(segment)
        .bind(MARKED)
        .fetch_all(&mut *tx)
        .await?;
        if marked.is_empty() {
            return Ok(());
        }
        sqlx::query("delete from file_order where upload_id = any($1)").bind(&marked).execute(&mut *tx).await?;
        replaced::forget(&mut *tx, kind.table(), &marked).await?;
        for upload_id in &marked {
            hooks(kind).on_purge(&mut tx, *upload_id).await?;
        }
        tx.commit().await?;
    }
}

async fn drop_segment(pool: &PgPool, segment: i32) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // Shorter than Postgres waits before it looks for a deadlock, so that nobody else is ended by one.
    tx.execute("set local lock_timeout = '500ms'").await?;
    sqlx::query("select drop_old_segment($1)").bind(segment).execute(&mut *tx).await?;
    tx.commit().await
}
