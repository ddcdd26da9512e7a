//! Keys that the table had already: who has them, and whether that is the last word.

use std::collections::HashSet;

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    chunk::Chunk,
    prepare::{KeyConflict, PreparedChunk},
    winners::{Loser, find_winners},
};

/// The staged rows that were not inserted: the table had their keys.
pub(super) async fn refused(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    staged: &[bool],
    inserted: Vec<Uuid>,
) -> Result<Vec<KeyConflict>, JobError> {
    let inserted: HashSet<u128> = inserted.into_iter().map(|key| key.as_u128()).collect();
    let open = prepared.rows.iter().zip(staged).filter(|(row, staged)| **staged && !inserted.contains(&row.key));
    let losers: Vec<Loser<'_>> = open.map(|(row, _)| prepared.loser(row)).collect();
    let lost = among(conn, chunk, prepared, &losers).await?;
    if lost.len() != losers.len() {
        // The one who had a key was purged between the two statements: the next run finds it free.
        return Err(JobError::Retry("a key was given up while its duplicate was looked at".into()));
    }
    Ok(lost)
}

/// The rows of the chunk whose keys the table has now.
pub(super) async fn known(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
) -> Result<Vec<KeyConflict>, JobError> {
    let losers: Vec<Loser<'_>> = prepared.rows.iter().map(|row| prepared.loser(row)).collect();
    among(conn, chunk, prepared, &losers).await
}

async fn among(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    losers: &[Loser<'_>],
) -> Result<Vec<KeyConflict>, JobError> {
    if losers.is_empty() {
        return Ok(Vec::new());
    }
    let mut winners = find_winners(conn, chunk, losers).await?.into_iter().peekable();
    let mut lost = Vec::with_capacity(winners.len());
    // Both are in the order of the key.
    for (row, mine) in prepared.rows.iter().enumerate() {
        let Some(winner) = winners.next_if(|winner| losers[winner.loser].key.as_u128() == mine.key) else { continue };
        let line = winner.line.cast_unsigned();
        let unsettled = if winner.upload_id == chunk.upload_id { line > mine.line } else { !winner.closed };
        lost.push(KeyConflict { row, first: (winner.upload_id, line), unsettled, differs: winner.differs });
    }
    Ok(lost)
}

/// Turns lost rows into rejects and notes for which other uploads the join has to wait. Returns how many of them the
/// join must settle.
pub(super) async fn refuse(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &mut PreparedChunk,
    lost: Vec<KeyConflict>,
) -> Result<i64, JobError> {
    prepared.lose(chunk, &lost)?;
    let unsettled: Vec<&KeyConflict> = lost.iter().filter(|lost| lost.unsettled).collect();
    let mut others: Vec<UploadId> =
        unsettled.iter().map(|lost| lost.first.0).filter(|id| *id != chunk.upload_id).collect();
    others.sort_unstable();
    others.dedup();
    wait_for(conn, chunk.upload_id, &others).await?;
    Ok(i64::try_from(unsettled.len())?)
}

/// Notes that an upload's join has to wait for the end of others.
pub(crate) async fn wait_for(
    conn: &mut PgConnection,
    upload_id: UploadId,
    others: &[UploadId],
) -> Result<(), sqlx::Error> {
    if others.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into upload_waits (upload_id, on_upload_id) select $1, unnest($2::uuid[]) on conflict do nothing",
    )
    .bind(upload_id)
    .bind(others)
    .execute(conn)
    .await?;
    Ok(())
}
