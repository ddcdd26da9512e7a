//! Rows of a file that came before, or of most of one: its chunks refuse them, in parallel. Of any other file the close finds
//! the few that are there, all at once.

use std::{collections::HashSet, sync::Arc};

use gristmill_queue::JobError;
use gristmill_uploads::{OnDuplicate, UploadId};
use sqlx::PgConnection;

use super::{
    Chunk, Loser, find_winners,
    prepare::{KeyConflict, PreparedChunk},
};
use crate::{
    Env, kinds,
    segments::{self, Sealed, Segment, filter, key_sets::suspected},
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
    if !table.segments || prepared.rows.is_empty() || chunk.on_duplicate == OnDuplicate::Replace {
        return Ok(Vec::new());
    }
    let sealed = segments::history(&mut *conn, table, client.into()).await?.sealed;
    if sealed.is_empty() {
        return Ok(Vec::new());
    }
    let sample = Arc::new(smallest(prepared.rows.iter().map(|row| filter::hash(client, row.key)).collect()));
    let known: HashSet<u64> = suspected(&env.filters, &mut *conn, &sample, sealed.iter().copied())
        .await?
        .into_iter()
        .flat_map(|suspected| suspected.hashes)
        .collect();
    if known.len() * PART < sample.len() {
        return Ok(Vec::new());
    }
    if let Some((upload_id, first_line)) = same_chunk(&mut *conn, chunk, prepared).await? {
        let first = |line: u64| (upload_id, line - chunk.first_line + first_line.cast_unsigned());
        let rows = prepared.rows.iter().enumerate();
        return Ok(rows.map(|(row, of)| KeyConflict { row, first: first(of.line), differs: None }).collect());
    }
    among(env, conn, chunk, prepared, &sealed).await
}

/// The upload that has the same chunk, byte by byte and read alike, in the same place, and the chunk's first line there: one that counts, and whose
/// good rows are all in the table. So they are not looked up when a file is sent again.
async fn same_chunk(
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
) -> Result<Option<(UploadId, i64)>, JobError> {
    if chunk.part.is_some() || !kinds::is_read_alike(chunk.kind) {
        return Ok(None);
    }
    let same = sqlx::query_as(
        "select o.upload_id, o.first_line
         from uploads u join chunks c on c.upload_id = u.id join chunks f on f.upload_id = u.id and f.no = 0
              join chunks g on g.no = 0 and g.sha256 = f.sha256
              join uploads w on w.id = g.upload_id and w.state = 'completed' and w.rows_dropped_at is null
                   and w.client_id = u.client_id and w.kind = u.kind
                   and w.header = u.header and w.reading is not distinct from u.reading
                   and w.max_record_bytes is not distinct from u.max_record_bytes
              join chunks o on o.upload_id = w.id and o.no = c.no and o.sha256 = c.sha256
         where u.id = $1 and c.no = $2 and o.duplicate = 0 and o.accepted = $3
           and exists (select from upload_progress where upload_id = w.id and superseded = 0)
         order by w.id limit 1",
    )
    .bind(chunk.upload_id)
    .bind(chunk.no)
    .bind(i64::try_from(prepared.rows.len())?)
    .fetch_optional(conn)
    .await?;
    Ok(same)
}

/// The chunk's rows whose keys these segments have in rows that count, in the order of the key.
pub(super) async fn among(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    sealed: &[Sealed],
) -> Result<Vec<KeyConflict>, JobError> {
    let rows = by_hash(chunk, prepared);
    let hashes = Arc::new(rows.iter().map(|(hash, _)| *hash).collect());
    let mut lost = Vec::new();
    for suspected in suspected(&env.filters, &mut *conn, &hashes, sealed.iter().copied()).await? {
        for (segment, hashes) in suspected.by_segment(&env.filters, &mut *conn).await? {
            let found = |hash: &u64| rows.binary_search_by_key(hash, |(of, _)| *of).ok().map(|place| rows[place].1);
            let mut asked: Vec<usize> = hashes.iter().filter_map(found).collect();
            asked.sort_unstable();
            look_up(&mut *conn, chunk, prepared, segment, &asked, &mut lost).await?;
        }
    }
    Ok(lost)
}

/// The smallest of these hashes, sorted, as they are in few parts of a run.
fn smallest(mut hashes: Vec<u64>) -> Vec<u64> {
    if hashes.len() > SAMPLE {
        hashes.select_nth_unstable(SAMPLE);
        hashes.truncate(SAMPLE);
    }
    hashes.sort_unstable();
    hashes
}

/// What the key of each of the chunk's rows is in filters, and which row that is, sorted: no key is there twice.
fn by_hash(chunk: &Chunk, prepared: &PreparedChunk) -> Vec<(u64, usize)> {
    let client = chunk.owner.client_id;
    let rows = prepared.rows.iter().enumerate();
    let mut rows: Vec<_> = rows.map(|(place, row)| (filter::hash(client, row.key), place)).collect();
    rows.sort_unstable();
    rows
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

#[cfg(test)]
mod tests {
    use super::{SAMPLE, smallest};

    #[test]
    fn a_sample_is_the_smallest_in_order() {
        let all = 0..4 * SAMPLE as u64;
        assert_eq!(smallest(all.clone().rev().collect()), (0..SAMPLE as u64).collect::<Vec<_>>());
        for few in [0, 1, SAMPLE as u64] {
            assert_eq!(smallest((0..few).rev().collect()), (0..few).collect::<Vec<_>>());
        }
    }
}
