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
    segments::{
        self, Segment,
        filter::{self, KeyFilter},
    },
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
    let sealed = segments::history(&mut *conn, table, client.into()).await?.sealed;
    let filters = filters(env, &mut *conn, sealed).await?;
    let rows = &prepared.rows;
    let sample: Vec<u64> =
        rows.iter().step_by(rows.len().div_ceil(SAMPLE)).map(|row| filter::hash(client, row.key)).collect();
    let known = sample.iter().filter(|hash| filters.iter().any(|(_, filter)| filter.may_have(**hash))).count();
    if known * PART < sample.len() {
        return Ok(Vec::new());
    }
    by_filters(conn, chunk, prepared, filters).await
}

/// A segment, and what says whether it may have a key.
type Filtered = (Segment, Arc<KeyFilter>);

/// These segments with their filters. One that is gone has no rows.
pub(super) async fn filters(
    env: &Env,
    conn: &mut PgConnection,
    sealed: Vec<Segment>,
) -> Result<Vec<Filtered>, JobError> {
    let mut filters = Vec::with_capacity(sealed.len());
    for segment in sealed {
        filters.extend(env.filters.get(&mut *conn, segment.id).await?.map(|filter| (segment, filter)));
    }
    Ok(filters)
}

/// The chunk's rows whose keys these segments have in rows that count, in the order of the key.
pub(super) async fn by_filters(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    filters: Vec<Filtered>,
) -> Result<Vec<KeyConflict>, JobError> {
    let client = chunk.owner.client_id;
    let hashes: Arc<Vec<u64>> = Arc::new(prepared.rows.iter().map(|row| filter::hash(client, row.key)).collect());
    let mut lost = Vec::new();
    for (segment, filter) in filters {
        let hashes = hashes.clone();
        let may: Vec<usize> = on_rayon(move || {
            hashes.par_iter().enumerate().filter(|(_, hash)| filter.may_have(**hash)).map(|(row, _)| row).collect()
        })
        .await?;
        look_up(&mut *conn, chunk, prepared, segment, &may, &mut lost).await?;
    }
    Ok(lost)
}

/// Adds those that a segment without a filter has.
pub(super) async fn in_segment(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    segment: Segment,
    lost: &mut Vec<KeyConflict>,
) -> Result<(), JobError> {
    let all: Vec<usize> = (0..prepared.rows.len()).collect();
    look_up(conn, chunk, prepared, segment, &all, lost).await
}

/// Adds which of these rows, by their places, a segment has.
async fn look_up(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    segment: Segment,
    rows: &[usize],
    lost: &mut Vec<KeyConflict>,
) -> Result<(), JobError> {
    if rows.is_empty() {
        return Ok(());
    }
    let losers: Vec<Loser<'_>> = rows.iter().map(|row| prepared.loser(&prepared.rows[*row])).collect();
    for winner in find_winners(conn, chunk, segment, &losers).await? {
        let first = (winner.upload_id, winner.line.cast_unsigned());
        lost.push(KeyConflict { row: rows[winner.loser], first, differs: winner.differs });
    }
    lost.sort_by_key(|lost| lost.row);
    lost.dedup_by_key(|lost| lost.row);
    Ok(())
}
