//! Records that have lost their key: they become rejects that say to which one, and in what it differs.

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gristmill_pipelines::ReasonCode;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    conflicts,
    replace::{self, Replacing},
};
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

/// Those of these rows that are in the upload's own segment: others lost their keys, and were deleted, before.
pub(super) async fn there(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    mut lost: Vec<Lost>,
) -> Result<Vec<Lost>, sqlx::Error> {
    let keys: Vec<Uuid> = lost.iter().map(|lost| Uuid::from_u128(lost.key.key)).collect();
    let look_up = format!("select coalesce(array_agg(d.line), '{{}}') {}", segments::look_up(segment, "line"));
    let lines: Vec<i64> = sqlx::query_scalar(&look_up).bind(keys).bind(chunk.owner.client_id).fetch_one(conn).await?;
    let lines: HashSet<i64> = lines.into_iter().collect();
    lost.retain(|lost| lines.contains(&lost.key.line));
    Ok(lost)
}

/// What may become of a record whose key a row of another upload has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// It is a reject.
    Lose,
    /// It counts instead of that row, where it says something else and that one is not billed.
    Replace,
}

/// Makes rejects of them, a chunk after the other, and returns those that were made: all, unless some may replace those that have their
/// keys. The rows that have these are indexed; their own are gone, or are dealt with by the caller where they may stay.
pub(super) async fn refuse(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    mut lost: Vec<Lost>,
    may: May,
) -> Result<Vec<Lost>, JobError> {
    if lost.is_empty() {
        return Ok(lost);
    }
    let mut to: BTreeMap<i64, Segment> = lost.iter().map(|lost| (lost.key.line, lost.to)).collect();
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
    let mut replaced = HashSet::new();
    let mut read = records.try_next().await?;
    while let Some((no, of_chunk)) = read {
        let refuse = async {
            let refused = duplicates(conn, chunk, &to, of_chunk, may, &mut replaced).await?;
            load::refuse(conn, chunk.upload_id, no, &refused).await?;
            Ok::<_, JobError>(Move::of(no, &refused))
        };
        // The next ones are read meanwhile.
        let refused;
        (refused, read) = tokio::try_join!(refuse, records.try_next())?;
        moves.push(refused);
    }
    drop(records);
    to.retain(|line, _| !replaced.contains(line));
    lost.retain(|lost| !replaced.contains(&lost.key.line));
    conflicts::follow(conn, chunk, &to).await?;
    recount(conn, chunk.upload_id, &moves).await?;
    conflicts::count(conn, chunk.upload_id).await?;
    Ok(lost)
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

/// The rejects of a chunk's records; `replaced` gets the lines of those that count instead of the rows that had their keys.
async fn duplicates(
    conn: &mut PgConnection,
    chunk: &Chunk,
    to: &BTreeMap<i64, Segment>,
    of_chunk: Vec<Loaded>,
    may: May,
    replaced: &mut HashSet<i64>,
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
        let replacing: Vec<Replacing> = match may {
            May::Lose => Vec::new(),
            May::Replace => {
                loaded.iter().zip(&winners).filter_map(|(new, old)| Replacing::of(chunk, new, old)).collect()
            }
        };
        let done = replace::replace(conn, chunk, segment, &replacing).await?;
        let wished: HashSet<i64> = replacing.iter().map(|replacing| replacing.line).collect();
        for (Loaded { line, raw, .. }, winner) in loaded.into_iter().zip(winners) {
            if done.contains(&line) {
                continue;
            }
            let first = (winner.upload_id, winner.line.cast_unsigned());
            let differs = winner.differs.map_or_else(Vec::new, |differs| differs.columns);
            refused.push(match wished.contains(&line) {
                true => RejectedRecord::billed(chunk, line.cast_unsigned(), raw, first, differs),
                false => RejectedRecord::duplicate(chunk, line.cast_unsigned(), raw, first, differs),
            });
        }
        replaced.extend(done);
    }
    refused.sort_unstable_by_key(|refused| refused.line);
    Ok(refused)
}

/// How many accepted records of a chunk are rejects now.
struct Move {
    no: i32,
    duplicate: i64,
    rejected: i64,
}

impl Move {
    fn of(no: i32, refused: &[RejectedRecord]) -> Self {
        let duplicate = refused.iter().filter(|refused| refused.code == ReasonCode::Duplicate).count() as i64;
        Self { no, duplicate, rejected: refused.len() as i64 - duplicate }
    }
}

async fn recount(conn: &mut PgConnection, upload_id: UploadId, moves: &[Move]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update chunks c set accepted = c.accepted - m.duplicate - m.rejected, duplicate = c.duplicate + m.duplicate,
                rejected = c.rejected + m.rejected
         from unnest($2::int[], $3::bigint[], $4::bigint[]) as m (no, duplicate, rejected) where c.upload_id = $1 and c.no = m.no",
    )
    .bind(upload_id)
    .bind(moves.iter().map(|of| of.no).collect::<Vec<i32>>())
    .bind(moves.iter().map(|of| of.duplicate).collect::<Vec<i64>>())
    .bind(moves.iter().map(|of| of.rejected).collect::<Vec<i64>>())
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update upload_progress set accepted = accepted - $2 - $3, loaded = loaded - $2 - $3, duplicate = duplicate + $2,
                rejected = rejected + $3
         where upload_id = $1",
    )
    .bind(upload_id)
    .bind(moves.iter().map(|of| of.duplicate).sum::<i64>())
    .bind(moves.iter().map(|of| of.rejected).sum::<i64>())
    .execute(conn)
    .await?;
    Ok(())
}
