//! What is done for segments now and then: full ones get a filter, many get a run, a new one is opened in time, and what a chunk made for an
//! upload that had ended is dropped.

use gristmill::Data;
use gristmill_pipelines::{Kind, Table};
use gristmill_queue::JobError;
use gristmill_uploads::{jobs::TendSegments, segments::SHARED_ROWS};
use sqlx::{Executor as _, PgConnection, PgPool};

use super::{
    Segment,
    filter::{self, KeyFilter},
    keys, runs,
};
use crate::{Env, load::on_rayon};

/// Does it. Safe to be done twice, and at a time.
pub(crate) async fn tend_segments(_: TendSegments, Data(env): Data<Env>) -> Result<(), JobError> {
    for table in tables() {
        open_in_time(&env.pool, table, None).await?;
        while seal_one(&env.pool, table).await? {}
    }
    drop_orphans(&env.pool).await?;
    for table in tables() {
        runs::make(&env.pool, table).await?;
    }
    Ok(runs::drop_old(&env.pool).await?)
}

/// The tables that have segments.
pub(super) fn tables() -> impl Iterator<Item = &'static Table> {
    Kind::ALL.iter().map(|kind| kind.table()).filter(|table| table.segments)
}

/// Opens a new segment for small uploads when the one that is open is full; or, where rows are kept for so many seconds, is as old as
/// that: its rows go together.
pub(super) async fn open_in_time(pool: &PgPool, table: &'static Table, keep: Option<f64>) -> Result<(), JobError> {
    let mut tx = pool.begin().await?;
    let open: Option<(i32, bool)> = sqlx::query_as(
        "select id, coalesce(created_at < now() - $2::float8 * interval '1 second', false)
         from row_segments where table_name = $1 and state = 'open'
         and pg_try_advisory_xact_lock(hashtextextended($1, 0))",
    )
    .bind(table.name)
    .bind(keep)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((open, is_old)) = open else { return Ok(()) };
    let rows: i64 =
        sqlx::query_scalar("select coalesce(sum(accepted), 0)::bigint from upload_progress where segment = $1")
            .bind(open)
            .fetch_one(&mut *tx)
            .await?;
    if rows < SHARED_ROWS && !(is_old && rows > 0) {
        return Ok(());
    }
    // Those that are being written are waited for, but not for longer than others may wait behind this.
    tx.execute("set local lock_timeout = '2s'").await?;
    let opened: i32 = sqlx::query_scalar("select open_shared_segment($1)").bind(table.name).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    tracing::info!(table = table.name, segment = opened, "small uploads go to a new segment");
    Ok(())
}

/// Makes the filter of a full segment. `false`: there is none to be made.
async fn seal_one(pool: &PgPool, table: &'static Table) -> Result<bool, JobError> {
    let mut tx = pool.begin().await?;
    let full: Option<i32> = sqlx::query_scalar(
        "select id from row_segments where table_name = $1 and state = 'full' order by id limit 1 for update skip locked",
    )
    .bind(table.name)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = full else { return Ok(false) };
    let segment = Segment { table, id, is_own: false };
    let rows: i64 = sqlx::query_scalar(&format!("select count(*) from {}", segment.name())).fetch_one(&mut *tx).await?;
    let parts = filter::parts_of(rows);
    let mut filters = Vec::new();
    for part in 0..parts {
        let hashes = hashes(&mut tx, segment, (part, parts)).await?;
        filters.push(on_rayon(move || KeyFilter::part(&hashes)).await??);
    }
    let bytes = KeyFilter::of_parts(filters).to_bytes();
    sqlx::query("update row_segments set state = 'sealed', sealed_at = now(), key_filter = $2 where id = $1")
        .bind(id)
        .bind(bytes)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    tracing::info!(segment = segment.name(), rows, "sealed");
    Ok(true)
}

/// The hashes of a shared segment's keys that a part of its filter has, sorted and each once.
async fn hashes(conn: &mut PgConnection, segment: Segment, (part, parts): (u32, u32)) -> Result<Vec<u64>, JobError> {
    let mut hashes = Vec::new();
    keys::hashes(conn, segment, |hash| {
        if filter::part_of(hash, parts) == part {
            hashes.push(hash);
        }
    })
    .await?;
    runs::sorted(hashes).await
}

/// A chunk that was on its way when its upload was purged may have made a segment after that.
async fn drop_orphans(pool: &PgPool) -> Result<(), JobError> {
    let orphans: Vec<i32> = sqlx::query_scalar(
        "select s.id from row_segments s join uploads u on u.id = s.upload_id
         where u.purged_at < now() - interval '1 minute' order by s.id limit 100",
    )
    .fetch_all(pool)
    .await?;
    for orphan in orphans {
        let mut tx = pool.begin().await?;
        tx.execute("set local lock_timeout = '2s'").await?;
        sqlx::query("select drop_segment($1)").bind(orphan).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(())
}
