//! A later line of the file has the key of an earlier one: they change places.

use std::collections::BTreeMap;

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::recount;
use crate::{
    Env,
    close::raws,
    load::{self, Chunk, Record, RejectedRecord, StagingTable},
};

/// A reject that names a later line of its own file as its first.
#[derive(FromRow)]
struct Early {
    line: i64,
    chunk_no: i32,
    raw: Vec<u8>,
    first_line: i64,
}

pub(super) async fn settle(env: &Env, conn: &mut PgConnection, chunk: &Chunk) -> Result<(), JobError> {
    let early: Vec<Early> = sqlx::query_as(
        "select distinct on (first_line) line, chunk_no, raw, first_line from rejects
         where upload_id = $1 and code = 'duplicate' and first_upload_id = $1 and first_line > line
         order by first_line, line",
    )
    .bind(chunk.upload_id)
    .fetch_all(&mut *conn)
    .await?;
    if early.is_empty() {
        return Ok(());
    }
    let winners: Vec<Record> = early
        .iter()
        .map(|early| load::again(chunk, &early.raw, early.line.cast_unsigned()))
        .collect::<Result<_, _>>()?;
    replace(conn, chunk, &winners).await?;

    let late = late_records(env, conn, chunk, &early).await?;
    let mut differ = Vec::with_capacity(early.len());
    let mut moves = Vec::with_capacity(early.len() * 2);
    let mut refused: BTreeMap<i32, Vec<RejectedRecord>> = BTreeMap::new();
    let table = chunk.kind.table();
    for (early, winner) in early.iter().zip(&winners) {
        let (late_chunk, raw) = &late[&early.first_line];
        let (first, line) = ((chunk.upload_id, early.line.cast_unsigned()), early.first_line.cast_unsigned());
        let loser = load::again(chunk, raw, line)?;
        let differs = chunk.kind.differs(table.said(&loser.tuple), table.said(&winner.tuple));
        differ.push(!differs.is_empty());
        let record = RejectedRecord::duplicate(chunk, line, raw.clone(), first, differs);
        refused.entry(*late_chunk).or_default().push(record);
        moves.extend([(early.chunk_no, 1), (*late_chunk, -1)]);
    }
    rename(conn, chunk.upload_id, &early, &differ).await?;
    for (chunk_no, refused) in &refused {
        load::refuse(conn, chunk.upload_id, *chunk_no, refused).await?;
    }
    recount(conn, chunk.upload_id, &moves).await?;
    Ok(())
}

/// Puts the earlier rows where the later ones are, in two statements whatever their number.
async fn replace(conn: &mut PgConnection, chunk: &Chunk, winners: &[Record]) -> Result<(), JobError> {
    let table = chunk.kind.table();
    let mut winners: Vec<&Record> = winners.iter().collect();
    winners.sort_unstable_by_key(|winner| winner.key);
    let keys: Vec<Uuid> = winners.iter().map(|winner| Uuid::from_u128(winner.key)).collect();
    // Not by `client_id = $2`: of a client that its statistics do not know the planner expects a row, and may look for it by
    // another index that begins with the client.
    let delete = format!(
        "delete from {} where {} = any($1) and client_id = (select $2::int) and upload_id = $3",
        table.name, table.key
    );
    let deleted =
        sqlx::query(&delete).bind(&keys).bind(chunk.owner.client_id).bind(chunk.upload_id).execute(&mut *conn).await?;
    let stage = StagingTable::fill(conn, table, winners.iter().map(|winner| winner.tuple.as_slice())).await?;
    let inserted = stage.insert(conn).await?;
    stage.empty(conn).await?;
    if deleted.rows_affected() != winners.len() as u64 || inserted.len() != winners.len() {
        return Err(JobError::Retry("the rows to change places were not where they should be".into()));
    }
    Ok(())
}

/// The earlier lines are no rejects any more, and who named a later line as first names the earlier one. Where the two
/// `differ`, it is to be compared again.
async fn rename(
    conn: &mut PgConnection,
    upload_id: UploadId,
    early: &[Early],
    differ: &[bool],
) -> Result<(), JobError> {
    let (new, old): (Vec<i64>, Vec<i64>) = early.iter().map(|early| (early.line, early.first_line)).unzip();
    sqlx::query("delete from rejects where upload_id = $1 and line = any($2)")
        .bind(upload_id)
        .bind(&new)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "update rejects r set first_line = t.new, differs = case when t.differ then '{}' else r.differs end
         from unnest($2::bigint[], $3::bigint[], $4::boolean[]) as t (new, old, differ)
         where r.upload_id = $1 and r.code = 'duplicate' and r.first_upload_id = $1 and r.first_line = t.old",
    )
    .bind(upload_id)
    .bind(&new)
    .bind(&old)
    .bind(differ)
    .execute(conn)
    .await?;
    Ok(())
}

/// The raw text of the later lines, with the chunk each is in: read from the chunks' objects, each once.
async fn late_records(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    early: &[Early],
) -> Result<BTreeMap<i64, (i32, Vec<u8>)>, JobError> {
    let lines: Vec<i64> = early.iter().map(|early| early.first_line).collect();
    let places: Vec<(i32, i64)> = sqlx::query_as(
        "select c.no, l.line from unnest($2::bigint[]) as l (line)
         cross join lateral (
             select no from chunks where upload_id = $1 and first_line <= l.line order by no desc limit 1
         ) c order by c.no",
    )
    .bind(chunk.upload_id)
    .bind(&lines)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = BTreeMap::new();
    for same_chunk in places.chunk_by(|a, b| a.0 == b.0) {
        let no = same_chunk[0].0;
        let record = Chunk::find(env, chunk.upload_id, no).await?.ok_or(JobError::Cancelled)?;
        let wanted = same_chunk.iter().map(|place| place.1).collect();
        let records = raws::of_chunk(env, conn, record, wanted).await?;
        found.extend(records.into_iter().map(|(line, raw)| (line, (no, raw))));
    }
    Ok(found)
}
