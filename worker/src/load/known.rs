//! Rows of a file that came before, or of most of one: its chunks refuse them, in parallel. Of any other file the close finds
//! the few that are there, all at once.

use std::sync::Arc;

use gristmill_queue::JobError;
use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};
use sqlx::PgConnection;

use super::{
    Chunk, Loser, find_winners, on_rayon,
    prepare::{KeyConflict, PreparedChunk},
};
use crate::{
    Env,
    segments::{self, filter},
};

/// Rows that are looked at to see whether it is such a file, and which part of them must be known for it to be one.
const SAMPLE: usize = 512;
const PART: usize = 8;

/// The chunk's rows whose keys rows that count have, in the order of the key; none, where they are few.
pub(super) async fn find(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
) -> Result<Vec<KeyConflict>, JobError> {
    let (table, client) = (chunk.kind.table(), chunk.owner.client_id);
    if !table.segments || prepared.rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut filters = Vec::new();
    for segment in segments::history(&mut *conn, table, client.into()).await?.sealed {
        filters.extend(env.filters.get(&mut *conn, segment.id).await?.map(|filter| (segment, filter)));
    }
    let rows = &prepared.rows;
    let sample: Vec<u64> =
        rows.iter().step_by(rows.len().div_ceil(SAMPLE)).map(|row| filter::hash(client, row.key)).collect();
    let known = sample.iter().filter(|hash| filters.iter().any(|(_, filter)| filter.may_have(**hash))).count();
    if known * PART < sample.len() {
        return Ok(Vec::new());
    }
    let hashes: Arc<Vec<u64>> = Arc::new(rows.iter().map(|row| filter::hash(client, row.key)).collect());
    let mut lost: Vec<KeyConflict> = Vec::new();
    for (segment, filter) in filters {
        let hashes = hashes.clone();
        let may: Vec<usize> = on_rayon(move || {
            hashes.par_iter().enumerate().filter(|(_, hash)| filter.may_have(**hash)).map(|(row, _)| row).collect()
        })
        .await?;
        let losers: Vec<Loser<'_>> = may.iter().map(|row| prepared.loser(&rows[*row])).collect();
        for winner in find_winners(conn, chunk, segment, &losers).await? {
            let first = (winner.upload_id, winner.line.cast_unsigned());
            lost.push(KeyConflict { row: may[winner.loser], first, differs: winner.differs });
        }
    }
    lost.sort_unstable_by_key(|lost| lost.row);
    lost.dedup_by_key(|lost| lost.row);
    Ok(lost)
}
