//! Runs are made: of eight segments that are in none, and of eight runs of a level, so that a client with a thousand large
//! files has some twenty to be asked. A look at the rows is only needed where their keys, as chunks left them, are gone.

use gristmill_pipelines::Table;
use gristmill_queue::JobError;
use gristmill_uploads::{
    UploadId,
    segments::{LARGE_FILTER, RUN},
};
use rayon::slice::ParallelSliceMut as _;
use sqlx::{PgConnection, PgPool};

use super::{
    CHUNKS, Segment, cache, keys,
    loaded::{self, LoadedKeys},
    run::{self, RunPart},
};
use crate::load::on_rayon;

/// Runs that one job makes, and that it makes of runs: others wait behind it, and the next job is soon.
const AT_A_TIME: usize = 4;

/// Makes runs where there are enough segments or runs for them, if no other job does.
pub(super) async fn make(pool: &PgPool, table: &'static Table) -> Result<(), JobError> {
    let mut lock = pool.begin().await?;
    let locked: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtext('key_runs'), hashtext($1))")
        .bind(table.name)
        .fetch_one(&mut *lock)
        .await?;
    if !locked {
        return Ok(());
    }
    for _ in 0..AT_A_TIME {
        if !make_one(pool, table).await? && !merge_one(pool, table).await? {
            break;
        }
    }
    lock.commit().await?;
    Ok(())
}

/// Makes a run of segments of one client's, or of shared ones, where there are enough of them. `false`: there are not.
async fn make_one(pool: &PgPool, table: &'static Table) -> Result<bool, JobError> {
    let found: Option<(Option<i32>, Vec<i32>)> = sqlx::query_as(
        "select client_id, (array_agg(id order by id))[:$2] from row_segments
         where table_name = $1 and state = 'sealed' and run_id is null and coalesce(octet_length(key_filter), 0) < $3
         group by client_id having count(*) >= $2 limit 1",
    )
    .bind(table.name)
    .bind(RUN)
    .bind(LARGE_FILTER)
    .fetch_optional(pool)
    .await?;
    let Some((client_id, ids)) = found else { return Ok(false) };
    let mut prefixes = Vec::new();
    for id in &ids {
        let segment = Segment { table, id: *id, is_own: client_id.is_some() };
        add_prefixes(pool, segment, client_id, &mut prefixes).await?;
    }
    let prefixes = sorted(prefixes).await?;
    let (keys, parts) = (prefixes.len(), run::parts_of(prefixes.len() as u64));
    let mut tx = pool.begin().await?;
    let made = insert(&mut tx, table, client_id, (1, parts, keys as u64)).await?;
    let mut rest = prefixes.as_slice();
    for part in 0..parts {
        let (these, behind) = rest.split_at(rest.partition_point(|prefix| run::part_of(*prefix, parts) == part));
        insert_part(&mut tx, made, part, &RunPart::of(these, part, parts)?).await?;
        rest = behind;
    }
    let taken = sqlx::query("update row_segments set run_id = $1 where id = any($2) and run_id is null")
        .bind(made)
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    if taken.rows_affected() > 0 {
        sqlx::query(
            "delete from loaded_keys k using row_segments s
             where s.run_id = $1 and k.upload_id = s.upload_id and k.chunk_no >= s.part * $2 and k.chunk_no < (s.part + 1) * $2",
        )
        .bind(made)
        .bind(CHUNKS)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        tracing::info!(table = table.name, client_id, segments = ids.len(), keys, run = made, "made a run of keys");
    }
    Ok(true)
}

/// Makes one run of eight of a level, where there are so many. `false`: there are not.
async fn merge_one(pool: &PgPool, table: &'static Table) -> Result<bool, JobError> {
    let mut tx = pool.begin().await?;
    let found: Option<(Option<i32>, i32, Vec<i32>)> = sqlx::query_as(
        "select client_id, level, (array_agg(id order by id))[:$2] from key_runs
         where table_name = $1 group by client_id, level having count(*) >= $2 limit 1",
    )
    .bind(table.name)
    .bind(RUN)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((client_id, level, ids)) = found else { return Ok(false) };
    let runs: Vec<(i32, i32, i64)> =
        sqlx::query_as("select id, parts, keys from key_runs where id = any($1) order by id")
            .bind(&ids)
            .fetch_all(&mut *tx)
            .await?;
    let keys = u64::try_from(runs.iter().map(|(.., keys)| keys).sum::<i64>())?;
    let parts = runs.iter().map(|(_, parts, _)| parts.cast_unsigned()).fold(run::parts_of(keys), u32::max);
    let made = insert(&mut tx, table, client_id, (level + 1, parts, keys)).await?;
    for part in 0..parts {
        let mut prefixes = Vec::new();
        for (id, of, _) in &runs {
            let own = (u64::from(part) * u64::from(of.cast_unsigned()) / u64::from(parts)) as u32;
            let keys = cache::read_part(&mut *tx, *id, own).await?;
            let keys = keys.ok_or_else(|| JobError::discard(format!("part {own} of the run {id} of keys is gone")))?;
            keys.add_to(&mut prefixes, own, (part, parts));
        }
        let prefixes = sorted(prefixes).await?;
        insert_part(&mut tx, made, part, &RunPart::of(&prefixes, part, parts)?).await?;
    }
    sqlx::query("update row_segments set run_id = $1 where run_id = any($2)")
        .bind(made)
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    sqlx::query("delete from key_runs where id = any($1)").bind(&ids).execute(&mut *tx).await?;
    tx.commit().await?;
    tracing::info!(table = table.name, client_id, level, keys, run = made, "made one run of keys of several");
    Ok(true)
}

/// Drops runs of which no segment is left, and the keys that chunks left a day ago: where they are needed, rows are read.
pub(super) async fn drop_old(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("delete from key_runs r where not exists (select from row_segments s where s.run_id = r.id)")
        .execute(pool)
        .await?;
    let old: Vec<UploadId> = sqlx::query_scalar(
        "select id from uploads u where u.state = 'completed' and u.completed_at < now() - interval '1 day'
         and exists (select from loaded_keys k where k.upload_id = u.id) limit 1000",
    )
    .fetch_all(pool)
    .await?;
    for upload_id in old {
        loaded::forget(pool, upload_id).await?;
    }
    Ok(())
}

/// Adds what a run keeps of a segment's keys. It is locked no longer than they are read; one that is dropped before that is
/// left for the next job.
async fn add_prefixes(
    pool: &PgPool,
    segment: Segment,
    client_id: Option<i32>,
    prefixes: &mut Vec<u64>,
) -> Result<(), JobError> {
    let mut conn = pool.acquire().await?;
    if let Some(client_id) = client_id {
        let keys = LoadedKeys::read(&mut conn, segment, client_id).await?;
        let before = prefixes.len();
        prefixes.extend(keys.hashes().into_iter().map(run::prefix));
        if prefixes.len() > before {
            return Ok(());
        }
    }
    keys::hashes(&mut conn, segment, |hash| prefixes.push(run::prefix(hash))).await
}

/// Sorted, each once.
pub(super) async fn sorted(mut hashes: Vec<u64>) -> Result<Vec<u64>, JobError> {
    on_rayon(move || {
        hashes.par_sort_unstable();
        hashes.dedup();
        hashes
    })
    .await
}

async fn insert(
    conn: &mut PgConnection,
    table: &Table,
    client_id: Option<i32>,
    (level, parts, keys): (i32, u32, u64),
) -> Result<i32, JobError> {
    let insert =
        "insert into key_runs (table_name, client_id, level, parts, keys) values ($1, $2, $3, $4, $5) returning id";
    let made = sqlx::query_scalar(insert)
        .bind(table.name)
        .bind(client_id)
        .bind(level)
        .bind(parts.cast_signed())
        .bind(i64::try_from(keys)?);
    Ok(made.fetch_one(conn).await?)
}

async fn insert_part(conn: &mut PgConnection, made: i32, part: u32, keys: &RunPart) -> Result<(), sqlx::Error> {
    sqlx::query("insert into key_run_parts (run_id, part, keys) values ($1, $2, $3)")
        .bind(made)
        .bind(part.cast_signed())
        .bind(keys.to_bytes())
        .execute(conn)
        .await
        .map(drop)
}
