//! A segment of an upload's own gets its index, when all its rows are in it. Of a key that came twice, or that a row has
//! which counts, what is left of it goes before.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::future::try_join_all;
use gristmill_queue::JobError;
use gristmill_uploads::OnDuplicate;
use rayon::slice::ParallelSliceMut as _;
use sqlx::{Executor as _, PgConnection, Postgres, Transaction};

use super::{
    Compared,
    lost::{self, Lost, May},
    suspects::Suspects,
};
use crate::{
    Env,
    load::{Chunk, on_rayon},
    segments::{self, OwnSegment, Sealed, Segment, filter::KeyFilter, keys::Key, loaded::LoadedKeys},
};

/// The commit need not be flushed by itself; see `load`.
const SETTINGS: &str = "set local synchronous_commit = off; set local maintenance_work_mem = '256MB'";

/// Segments that are indexed at a time: Postgres does most of it, a connection each. The keys of all are in memory, up to
/// 100 MB a segment, so on two processors two.
fn at_a_time() -> usize {
    rayon::current_num_threads().clamp(2, 4)
}

/// Indexes those of the upload's own segments that are not, and returns with which others each was compared.
pub(super) async fn index(env: &Env, chunk: &Chunk, own: &[OwnSegment]) -> Result<Compared, JobError> {
    let mut compared = Compared::default();
    let table = chunk.kind.table();
    let segments: Vec<Segment> = own.iter().map(|own| Segment { table, id: own.id, is_own: true }).collect();
    let at_a_time = at_a_time();
    for (from, these) in (0..).step_by(at_a_time).zip(own.chunks(at_a_time)) {
        let begun = try_join_all(these.iter().map(|own| begin(env, chunk, own))).await?;
        for (n, begun) in (from..).zip(begun) {
            let Some(begun) = begun else { continue };
            let history = end(env, chunk, begun, &segments[..n]).await?;
            compared.insert(segments[n].id, history);
        }
    }
    Ok(compared)
}

/// A segment that has its index, in a transaction that is not committed yet.
struct Begun {
    tx: Transaction<'static, Postgres>,
    segment: Segment,
    keys: Arc<LoadedKeys>,
    /// Of them, sorted, each once.
    hashes: Arc<Vec<u64>>,
    lost: Vec<Lost>,
    /// With which segments it was compared.
    history: Vec<Segment>,
}

/// Indexes a segment, without the rows whose keys came twice in it or are those of rows that count. `None`: it is indexed.
async fn begin(env: &Env, chunk: &Chunk, own: &OwnSegment) -> Result<Option<Begun>, JobError> {
    if own.is_indexed {
        return Ok(None);
    }
    let segment = Segment { table: chunk.kind.table(), id: own.id, is_own: true };
    let mut tx = env.pool.begin().await?;
    tx.execute(SETTINGS).await?;
    // Another run of the close, whose lease is over, may be at it.
    if !segments::lock_filling(&mut tx, segment).await? {
        return Ok(None);
    }
    let keys = Arc::new(LoadedKeys::read(&mut tx, segment, chunk.owner.client_id).await?);
    let seen = see(keys.clone()).await?;
    // What replaces others is compared with them when none of them can change any more: in the transaction that completes the upload.
    let history = match chunk.on_duplicate {
        OnDuplicate::Replace => Vec::new(),
        OnDuplicate::Skip | OnDuplicate::Error => {
            segments::history(&mut *tx, segment.table, chunk.owner.client_id.into()).await?.sealed
        }
    };
    let suspects = Suspects::among(env, &mut tx, &seen.hashes, history.iter().copied()).await?;
    let history = history.into_iter().map(|sealed| sealed.segment).collect();
    let mut lost = Vec::new();
    if !suspects.is_empty() || !seen.twice.is_empty() {
        let found = keys.among(|hash| seen.twice.contains(&hash) || suspects.has(hash));
        lost = sort_out(env, &mut tx, chunk, segment, &suspects, found).await?;
    }
    if !lost.is_empty() {
        let lines: Vec<i64> = lost.iter().map(|lost| lost.key.line).collect();
        let delete = format!("delete from {} where line = any($1)", segment.name());
        sqlx::query(&delete).bind(lines).execute(&mut *tx).await?;
    }
    sqlx::query("select index_segment($1)").bind(segment.id).execute(&mut *tx).await?;
    Ok(Some(Begun { tx, segment, keys, hashes: seen.hashes, lost, history }))
}

/// Compares it with the upload's earlier segments, which are indexed, and commits. Returns with which others it was compared.
async fn end(env: &Env, chunk: &Chunk, begun: Begun, earlier: &[Segment]) -> Result<Vec<Segment>, JobError> {
    let Begun { mut tx, segment, keys, hashes, mut lost, history } = begun;
    let earlier = earlier.iter().map(|segment| Sealed { segment: *segment, run: None });
    let suspects = Suspects::among(env, &mut tx, &hashes, earlier).await?;
    if !suspects.is_empty() {
        let of_earlier = suspects.lost(env, &mut tx, chunk, &keys.among(|hash| suspects.has(hash))).await?;
        let of_earlier = lost::delete(&mut tx, chunk, segment, of_earlier).await?;
        let to: HashMap<u128, Segment> = of_earlier.iter().map(|lost| (lost.key.key, lost.to)).collect();
        // What lost to a line of this segment that has lost now, too.
        for lost in &mut lost {
            lost.to = to.get(&lost.key.key).copied().unwrap_or(lost.to);
        }
        lost.extend(of_earlier);
    }
    lost::refuse(env, &mut tx, chunk, lost, May::Lose).await?;
    let count = format!("select count(*) from {}", segment.name());
    let count = async { Ok::<i64, JobError>(sqlx::query_scalar(&count).fetch_one(&mut *tx).await?) };
    let (filter, rows) = tokio::try_join!(on_rayon(move || KeyFilter::of(&hashes)), count)?;
    sqlx::query("update row_segments set state = 'indexed', key_filter = $2, rows = $3 where id = $1")
        .bind(segment.id)
        .bind(filter?.to_bytes())
        .bind(rows)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(history)
}

/// What is to be known of a segment's keys.
struct Seen {
    /// Sorted, each once.
    hashes: Arc<Vec<u64>>,
    /// Of those that came twice.
    twice: HashSet<u64>,
}

async fn see(keys: Arc<LoadedKeys>) -> Result<Seen, JobError> {
    on_rayon(move || {
        let mut hashes = keys.hashes();
        hashes.par_sort_unstable();
        let twice = hashes.array_windows().filter(|[one, next]| one == next).map(|[one, _]| *one).collect();
        hashes.dedup();
        Seen { hashes: Arc::new(hashes), twice }
    })
    .await
}

/// Which of the keys are lost, and to a row of which segment.
async fn sort_out(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    suspects: &Suspects,
    mut found: Vec<Key>,
) -> Result<Vec<Lost>, JobError> {
    found.sort_unstable();
    let mut lost = suspects.lost(env, conn, chunk, &found).await?;
    let known: HashSet<u128> = lost.iter().map(|lost| lost.key.key).collect();
    for same in found.chunk_by(|one, next| one.key == next.key).filter(|same| !known.contains(&same[0].key)) {
        lost.extend(same[1..].iter().map(|key| Lost { key: *key, to: segment }));
    }
    Ok(lost)
}
