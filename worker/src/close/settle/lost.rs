//! Records that have lost their key: they become rejects that say to which one, and in what it differs.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

use super::conflicts;
use crate::{
    Env,
    close::records::{self, Loaded},
    load::{self, Chunk, Loser, RejectedRecord},
    segments::{self, Segment, keys::Key},
};

/// Chunks whose records are read while those of the one before become rejects.
const AHEAD: usize = 2;

/// A record that has lost its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    pub(super) key: Key,
    /// Where the row is that has it.
    pub(super) to: Segment,
}

/// Deletes the rows that have lost their keys from the upload's own segment, and returns those that were there still.
pub(super) async fn delete(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    mut lost: Vec<Lost>,
) -> Result<Vec<Lost>, sqlx::Error> {
    if !lost.is_empty() {
        let keys = lost.iter().map(|lost| lost.key.key);
        let lines = segments::delete(conn, segment, chunk.owner.client_id, keys).await?;
        lost.retain(|lost| lines.contains(&lost.key.line));
    }
    Ok(lost)
}

/// Makes rejects of them, a chunk after the other. Their rows are gone, and those that have their keys are indexed.
pub(super) async fn refuse(env: &Env, conn: &mut PgConnection, chunk: &Chunk, lost: &[Lost]) -> Result<(), JobError> {
    if lost.is_empty() {
        return Ok(());
    }
    let to: BTreeMap<i64, Segment> = lost.iter().map(|lost| (lost.key.line, lost.to)).collect();
    let mut moves = Vec::new();
    let by_chunk = by_chunk(conn, chunk.upload_id, to.keys().copied().collect()).await?;
    let poisoned = &records::poisoned(&mut *conn, chunk.upload_id).await?;
    let mut records = stream::iter(by_chunk)
        .map(|(no, (first_line, lines))| async move {
            let one = chunk.other(no, first_line);
            Ok::<_, JobError>((no, records::of_chunk(env, one, lines, poisoned).await?))
        })
        .buffered(AHEAD)
        .boxed();
    let mut read = records.try_next().await?;
    while let Some((no, of_chunk)) = read {
        moves.push((no, -i64::try_from(of_chunk.len())?));
        let refuse = async {
            let refused = duplicates(conn, chunk, &to, of_chunk).await?;
            load::refuse(conn, chunk.upload_id, no, &refused).await
        };
        // The next ones are read meanwhile.
        ((), read) = tokio::try_join!(refuse, records.try_next())?;
    }
    conflicts::follow(conn, chunk, &to).await?;
    recount(conn, chunk.upload_id, &moves).await?;
    conflicts::count(conn, chunk.upload_id).await?;
    Ok(())
}

/// The lines by the chunks that they are in, with each chunk's first one.
async fn by_chunk(
    conn: &mut PgConnection,
    upload_id: UploadId,
    lines: Vec<i64>,
) -> Result<BTreeMap<i32, (u64, Vec<i64>)>, sqlx::Error> {
    let chunks: Vec<(i32, i64)> = sqlx::query_as("select no, first_line from chunks where upload_id = $1 order by no")
        .bind(upload_id)
        .fetch_all(conn)
        .await?;
    let mut found: BTreeMap<i32, (u64, Vec<i64>)> = BTreeMap::new();
    for line in lines {
        let behind = chunks.partition_point(|(_, first)| *first <= line);
        let (no, first_line) = chunks[behind.saturating_sub(1)];
        found.entry(no).or_insert((first_line.cast_unsigned(), Vec::new())).1.push(line);
    }
    Ok(found)
}

async fn duplicates(
    conn: &mut PgConnection,
    chunk: &Chunk,
    to: &BTreeMap<i64, Segment>,
    of_chunk: Vec<Loaded>,
) -> Result<Vec<RejectedRecord>, JobError> {
    let mut by_segment: BTreeMap<i32, Vec<Loaded>> = BTreeMap::new();
    for loaded in of_chunk {
        by_segment.entry(to[&loaded.line].id).or_default().push(loaded);
    }
    let mut refused = Vec::with_capacity(to.len());
    for loaded in by_segment.into_values() {
        let segment = to[&loaded[0].line];
        let losers: Vec<Loser<'_>> = loaded.iter().map(|loaded| loaded.record.loser()).collect();
        let winners = load::find_winners(conn, chunk, segment, &losers).await?;
        if winners.len() != losers.len() {
            return Err(JobError::Retry("a key was given up while its duplicate was looked at".into()));
        }
        for (Loaded { line, raw, .. }, winner) in loaded.into_iter().zip(winners) {
            let first = (winner.upload_id, winner.line.cast_unsigned());
            let differs = winner.differs.map_or_else(Vec::new, |differs| differs.columns);
            refused.push(RejectedRecord::duplicate(chunk, line.cast_unsigned(), raw, first, differs));
        }
    }
    refused.sort_unstable_by_key(|refused| refused.line);
    Ok(refused)
}

/// Moves counts of chunks: (chunk number, rows that become accepted; negative: that become duplicates).
async fn recount(conn: &mut PgConnection, upload_id: UploadId, moves: &[(i32, i64)]) -> Result<(), sqlx::Error> {
    let (numbers, deltas): (Vec<i32>, Vec<i64>) = moves.iter().copied().unzip();
    sqlx::query(
        "update chunks c set accepted = c.accepted + m.delta, duplicate = c.duplicate - m.delta
         from unnest($2::int[], $3::bigint[]) as m (no, delta) where c.upload_id = $1 and c.no = m.no",
    )
    .bind(upload_id)
    .bind(&numbers)
    .bind(&deltas)
    .execute(&mut *conn)
    .await?;
    let total: i64 = deltas.iter().sum();
    sqlx::query(
        "update upload_progress set accepted = accepted + $2, loaded = loaded + $2, duplicate = duplicate - $2
         where upload_id = $1",
    )
    .bind(upload_id)
    .bind(total)
    .execute(conn)
    .await?;
    Ok(())
}
