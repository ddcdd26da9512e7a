//! Where rows are: in segments, the partitions of their kind's table.
//!
//! An upload of several chunks is written to segments of its own, each with the rows of sixteen chunks and without an index.
//! If it is large, they are indexed once when all chunks are loaded, and become part of the table when the upload is
//! closed. The rows of a small one go to the segment that small uploads share: those of a single chunk at once, with the close.
//! So what is in the table counts, and what a file costs does not grow with what came before it.
//! docs/internals/segments.md tells why.

mod cache;
mod drop_old;
pub(crate) mod filter;
pub(crate) mod key_sets;
pub(crate) mod keys;
pub(crate) mod loaded;
mod run;
mod runs;
mod tend;

use std::{collections::HashSet, time::Duration};

use gristmill_core::ClientId;
use gristmill_pipelines::{SplitLimits, Table};
use gristmill_queue::JobError;
use gristmill_uploads::{
    UploadId,
    segments::{ClientSegment, of_client},
};
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

pub use self::cache::KeyFilters;
pub(crate) use self::{drop_old::drop_old_rows, tend::tend_segments};

/// Chunks whose rows a segment of an upload's own has: enough for its index to be worth it, and few enough for the hashes of
/// its keys to be held in memory.
pub(crate) const CHUNKS: i32 = 16;
/// An upload keeps its own segments from so many rows on. Fewer are moved to where small uploads are, in some tenths of a second.
pub(crate) const OWN_ROWS: i64 = 100_000;

/// When an upload has segments of its own.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// It is written to them if its first chunk has so many bytes: if that was cut because it was full.
    pub first_bytes: i64,
    /// It keeps them if so many of its rows are accepted.
    pub rows: i64,
}

impl Own {
    /// Where chunks have at most so many bytes.
    pub(crate) fn of(chunk_bytes: u64) -> Self {
        let first =
            SplitLimits { chunk_bytes: usize::try_from(chunk_bytes).unwrap_or(usize::MAX), ..SplitLimits::default() };
        Self { first_bytes: i64::try_from(first.first_chunk_bytes()).unwrap_or(i64::MAX), rows: OWN_ROWS }
    }
}

/// A segment of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) table: &'static Table,
    pub(crate) id: i32,
    /// All its rows are one upload's.
    pub(crate) is_own: bool,
}

impl Segment {
    /// The name of the partition.
    pub(crate) fn name(self) -> String {
        format!("{}_{}", self.table.name, self.id)
    }
}

/// Where the rows of uploads wait that have no segments of their own.
pub(crate) fn inbox(table: &Table) -> String {
    format!("{}_inbox", table.name)
}

/// Makes an upload's own segment for that part of its chunks, where there is none yet.
pub(crate) async fn make_own(
    on: impl PgExecutor<'_>,
    table: &'static Table,
    (upload_id, client_id): (UploadId, i32),
    part: i32,
) -> Result<Segment, sqlx::Error> {
    let id = sqlx::query_scalar("select own_segment($1, $2, $3, $4)")
        .bind(table.name)
        .bind(upload_id)
        .bind(client_id)
        .bind(part)
        .fetch_one(on)
        .await?;
    Ok(Segment { table, id, is_own: true })
}

/// A segment of an upload's own, and whether it is indexed.
#[derive(FromRow)]
pub(crate) struct OwnSegment {
    pub(crate) id: i32,
    pub(crate) is_indexed: bool,
}

/// The upload's own segments, in the order of its lines.
pub(crate) async fn all_own(on: impl PgExecutor<'_>, upload_id: UploadId) -> Result<Vec<OwnSegment>, sqlx::Error> {
    sqlx::query_as("select id, state <> 'filling' as is_indexed from row_segments where upload_id = $1 order by part")
        .bind(upload_id)
        .fetch_all(on)
        .await
}

/// Locks a segment of an upload's own until the end of the transaction; `false`: it is indexed, or gone.
pub(crate) async fn lock_filling(conn: &mut PgConnection, segment: Segment) -> Result<bool, sqlx::Error> {
    let locked: Option<i32> =
        sqlx::query_scalar("select id from row_segments where id = $1 and state = 'filling' for update")
            .bind(segment.id)
            .fetch_optional(conn)
            .await?;
    Ok(locked.is_some())
}

/// Of the client `$2`, the rows of an indexed segment that have the keys `$1`, as `k` (`id`, `place` from 1) and `d` with these columns.
///
/// In a shared segment it compares whole rows in the order of the key's index, which no other index gives: where the statistics say that
/// the segment is empty, the planner would read another one from end to end, for each key.
pub(crate) fn look_up(segment: Segment, columns: &str) -> String {
    let (name, key) = (segment.name(), segment.table.key);
    let one = match segment.is_own {
        true => format!("{key} = k.id offset 0"),
        false => format!("(client_id, {key}) >= ($2::int, k.id) order by client_id, {key} limit 1"),
    };
    format!(
        "from unnest($1::uuid[]) with ordinality as k (id, place)
         cross join lateral (
             select {columns}, client_id as of_client, {key} as of_key from {name}
             where {one}
         ) d
         where d.of_key = k.id and d.of_client = $2"
    )
}

/// Deletes a client's rows with these keys of an indexed segment, and returns their lines.
pub(crate) async fn delete(
    conn: &mut PgConnection,
    segment: Segment,
    client_id: i32,
    keys: impl Iterator<Item = u128>,
) -> Result<HashSet<i64>, sqlx::Error> {
    let keys: Vec<Uuid> = keys.map(Uuid::from_u128).collect();
    let rows = look_up(segment, "ctid as at");
    let delete = format!("delete from {} where ctid = any(array(select d.at {rows})) returning line", segment.name());
    let lines: Vec<i64> = sqlx::query_scalar(&delete).bind(keys).bind(client_id).fetch_all(conn).await?;
    Ok(lines.into_iter().collect())
}

/// A segment that takes no more rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    pub(crate) segment: Segment,
    /// The run that has its keys, and how many parts that has; `None`: it is asked by its filter.
    pub(crate) run: Option<(i32, u32)>,
}

/// Segments that have rows which count and are a client's, perhaps.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Those with a filter of their keys.
    pub(crate) sealed: Vec<Sealed>,
    /// Shared ones that have none yet.
    pub(crate) live: Vec<Segment>,
}

/// The segments of a table in which a client's keys may be.
pub(crate) async fn history(
    on: impl PgExecutor<'_>,
    table: &'static Table,
    client_id: ClientId,
) -> Result<History, sqlx::Error> {
    let mut history = History::default();
    for ClientSegment { id, is_own, is_sealed, run_id, parts } in of_client(on, table.name, client_id).await? {
        let segment = Segment { table, id, is_own };
        match is_sealed {
            true => history.sealed.push(Sealed { segment, run: run_id.zip(parts.map(i32::cast_unsigned)) }),
            false => history.live.push(segment),
        }
    }
    Ok(history)
}

/// Takes a client's lock for a small upload ([`lock_client`]), if no large one has it at this moment.
pub(crate) async fn try_share_client(
    on: impl PgExecutor<'_>,
    table: &Table,
    client_id: i32,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_xact_lock_shared(hashtext($1), $2)")
        .bind(table.name)
        .bind(client_id)
        .fetch_one(on)
        .await
}

/// The segment that small uploads go to now. It takes more until the transaction is over.
pub(crate) async fn open_shared(conn: &mut PgConnection, table: &'static Table) -> Result<Segment, JobError> {
    let id: Option<i32> =
        sqlx::query_scalar("select id from row_segments where table_name = $1 and state = 'open' for share")
            .bind(table.name)
            .fetch_optional(conn)
            .await?;
    // Who waited for one that was closed meanwhile does not see the next one yet.
    let id = id.ok_or_else(|| JobError::Snooze(Duration::from_millis(50)))?;
    Ok(Segment { table, id, is_own: false })
}

#[cfg(test)]
mod tests {
    use gristmill_pipelines::Kind;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_are_looked_up_by_their_index_whatever_the_statistics_say() {
        let stack = gristmill_platform::testing::stack().await;
        let mut conn = stack.pool.acquire().await.unwrap();
        let shared = open_shared(&mut conn, Kind::Debts.table()).await.unwrap();
        let name = shared.name();
        let fill = format!(
            "insert into {name} (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
             select gen_random_uuid(), 1, gen_random_uuid(), n, 1, '2030-01-01', 'Ana', '9558', 'ana@example.com'
             from generate_series(1, 2000) n"
        );
        // Statistics of an empty segment that has pages.
        for sql in [&fill, &format!("delete from {name}"), &format!("analyze {name}"), &fill] {
            sqlx::raw_sql(sql).execute(&mut *conn).await.unwrap();
        }
        let explain = format!("explain select count(*) {}", look_up(shared, "upload_id"));
        let plan: Vec<String> =
            sqlx::query_scalar(&explain).bind(vec![Uuid::nil()]).bind(1).fetch_all(&mut *conn).await.unwrap();
        let uses = |index: &str| plan.iter().any(|line| line.contains(&format!("{name}_{index}")));
        assert!(uses("key") && !uses("upload"), "{plan:#?}");
    }
}
