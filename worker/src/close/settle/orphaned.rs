//! Rows that lost their keys to an upload that came to nothing: they are taken after all, in the order of the file.

use std::collections::BTreeMap;

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{FromRow, PgConnection};

use super::recount;
use crate::load::{self, Chunk, Loser, Record, RejectedRecord, StagingTable};

/// Rejects looked at a time.
const PAGE: i64 = 10_000;

#[derive(FromRow)]
struct Orphan {
    line: i64,
    chunk_no: i32,
    raw: Vec<u8>,
}

/// Takes the orphans of `gone` uploads. `true`: some lost again, to a file that is not closed either.
pub(super) async fn settle(conn: &mut PgConnection, chunk: &Chunk, gone: &[UploadId]) -> Result<bool, JobError> {
    let mut still_open = false;
    let mut after = 0;
    while !gone.is_empty() {
        let orphans: Vec<Orphan> = sqlx::query_as(
            "select line, chunk_no, raw from rejects
             where upload_id = $1 and code = 'duplicate' and first_upload_id = any($2) and line > $3
             order by line limit $4",
        )
        .bind(chunk.upload_id)
        .bind(gone)
        .bind(after)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?;
        let Some(last) = orphans.last() else { break };
        after = last.line;
        still_open |= take(conn, chunk, orphans).await?;
    }
    Ok(still_open)
}

async fn take(conn: &mut PgConnection, chunk: &Chunk, orphans: Vec<Orphan>) -> Result<bool, JobError> {
    // By key, as rows go in in the order of their key; of each key the first line of the file.
    let records: Vec<Record> = orphans
        .iter()
        .map(|orphan| load::again(chunk, &orphan.raw, orphan.line.cast_unsigned()))
        .collect::<Result<_, _>>()?;
    let mut first_by_key: BTreeMap<u128, &Record> = BTreeMap::new();
    for record in &records {
        first_by_key.entry(record.key).or_insert(record);
    }
    let stage =
        StagingTable::fill(conn, chunk.kind.table(), first_by_key.values().map(|record| record.tuple.as_slice()))
            .await?;
    stage.insert(conn).await?;
    stage.empty(conn).await?;

    let losers: Vec<Loser<'_>> = records.iter().map(Record::loser).collect();
    let winners = load::find_winners(conn, chunk, &losers).await?;
    if winners.len() != losers.len() {
        return Err(JobError::Retry("a key was given up while its duplicate was looked at".into()));
    }
    let lines: Vec<i64> = orphans.iter().map(|orphan| orphan.line).collect();
    let mut moves = Vec::new();
    let mut waits = Vec::new();
    let mut lost: BTreeMap<i32, Vec<RejectedRecord>> = BTreeMap::new();
    for (orphan, winner) in orphans.into_iter().zip(winners) {
        if winner.upload_id == chunk.upload_id && winner.line == orphan.line {
            moves.push((orphan.chunk_no, 1));
            continue;
        }
        if winner.upload_id != chunk.upload_id && !winner.closed {
            waits.push(winner.upload_id);
        }
        let first = (winner.upload_id, winner.line.cast_unsigned());
        let differs = winner.differs.map_or_else(Vec::new, |differs| differs.columns);
        let refused = RejectedRecord::duplicate(chunk, orphan.line.cast_unsigned(), orphan.raw, first, differs);
        lost.entry(orphan.chunk_no).or_default().push(refused);
    }
    sqlx::query("delete from rejects where upload_id = $1 and line = any($2)")
        .bind(chunk.upload_id)
        .bind(&lines)
        .execute(&mut *conn)
        .await?;
    for (chunk_no, refused) in &lost {
        load::refuse(conn, chunk.upload_id, *chunk_no, refused).await?;
    }
    recount(conn, chunk.upload_id, &moves).await?;
    waits.sort_unstable();
    waits.dedup();
    load::wait_for(conn, chunk.upload_id, &waits).await?;
    Ok(!waits.is_empty())
}
