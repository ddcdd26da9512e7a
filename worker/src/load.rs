//! One chunk's way: get → parse and check → sort by key → look up what its rows mention → COPY → count → commit, the last three
//! in one transaction that the job's ledger row fences. Which of its rows are duplicates is the close's to say, but for a
//! file that came before, and for a small file by itself, which is completed by its chunk.

mod again;
mod chunk;
mod copy;
mod file_order;
mod keep;
mod known;
mod poison_bisect;
mod prepare;
mod reasons;
pub(crate) mod reports;
mod whole;
mod winners;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gristmill::Data;
use gristmill_queue::{Completion, Context, Fence, JobError};
use gristmill_uploads::{Policy, State, events, jobs::LoadChunk, objects, read, state};
use object_store::ObjectStoreExt;
use sqlx::{Executor, PgConnection};
use tokio::sync::RwLock;

use self::prepare::{KeyConflict, PreparedChunk};
pub(crate) use self::{
    again::{Record, again},
    chunk::Chunk,
    copy::{copy_unless_taken, field, refuse},
    keep::KeptRejects,
    poison_bisect::{load_part, suspect_chunk, wait_anew},
    prepare::RejectedRecord,
    winners::{Loser, Winner, find_winners},
};
use crate::{
    Env,
    close::{self, Completed},
    kinds,
    segments::{self, Segment, loaded},
};

/// A chunk's commit need not be flushed by itself, unless it completes the upload: the close's commit flushes everything before it, and a chunk that a
/// crash of Postgres un-commits is still `available` in the ledger and runs again. A chunk does not wait for a lock for
/// ever: its holder may be a stopped process, so the job is retried instead.
const SETTINGS: &str = "set local synchronous_commit = off; set local lock_timeout = '5s';
                        set local client_min_messages = 'warning'";

/// Chunks of a process share it; a part that is suspected to take processes down has the process to itself.
static ALONE: RwLock<()> = RwLock::const_new(());

/// Loads one chunk; see the module.
pub(crate) async fn load_chunk(job: LoadChunk, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let _shared = ALONE.read().await;
    let Some(chunk) = Chunk::find(&env, job.upload_id, job.no).await? else {
        return Err(JobError::Cancelled);
    };
    let chunk = Arc::new(chunk);
    let object = fetch(&env, &chunk).await?;
    load(&env, &context, &chunk, object).await
}

/// The chunk's object, as it was stored.
async fn fetch(env: &Env, chunk: &Arc<Chunk>) -> Result<Bytes, JobError> {
    let object = env.store.get(&objects::chunk(chunk.upload_id, chunk.no)).await?.bytes().await?;
    let (stored, bytes) = (chunk.clone(), object.clone());
    on_rayon(move || prepare::verify(&stored, &bytes)).await??;
    Ok(object)
}

/// Loads these records of the chunk: all, or a part.
async fn load(env: &Env, context: &Context, chunk: &Arc<Chunk>, records: Bytes) -> Result<(), JobError> {
    let prepared = {
        let chunk = chunk.clone();
        on_rayon(move || prepare::prepare(&chunk, &records)).await?
    };
    kinds::look_up(env, chunk, &prepared.mentions).await?;
    finish(env, context, chunk, prepared).await
}

async fn finish(env: &Env, context: &Context, chunk: &Chunk, mut prepared: PreparedChunk) -> Result<(), JobError> {
    let kept = keep::within_limit(&env.pool, chunk, &mut prepared).await?;
    let into = into(env, chunk).await?;
    if let Some(committed) = commit(env, context, chunk, prepared, &into, &kept).await? {
        tell(env, chunk, committed).await;
    }
    Ok(())
}

/// What a chunk's rows are copied into: they become part of their table when the upload is closed.
struct Into {
    name: String,
    /// It is a segment of the upload's own.
    is_own: bool,
}

async fn into(env: &Env, chunk: &Chunk) -> Result<Into, JobError> {
    let table = chunk.kind.table();
    if !table.segments {
        return Ok(Into { name: table.name.to_owned(), is_own: false });
    }
    if chunk.first_bytes < env.own.first_bytes {
        return Ok(Into { name: segments::inbox(table), is_own: false });
    }
    let of = (chunk.upload_id, chunk.owner.client_id);
    let segment = match chunk.segment {
        Some(id) => Segment { table, id, is_own: true },
        None => segments::make_own(&env.pool, table, of, chunk.no / segments::CHUNKS).await?,
    };
    Ok(Into { name: segment.name(), is_own: true })
}

/// What a committed chunk has to tell.
struct Committed {
    rejected: u64,
    examples: Vec<RejectedRecord>,
    /// It was the whole file.
    completed: Option<Completed>,
}

/// Everything the chunk does, in one transaction; `None` when another run did it first.
async fn commit(
    env: &Env,
    context: &Context,
    chunk: &Chunk,
    mut prepared: PreparedChunk,
    into: &Into,
    kept: &KeptRejects,
) -> Result<Option<Committed>, JobError> {
    let mut tx = env.pool.begin().await?;
    tx.execute(SETTINGS).await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(None);
    }
    // Against a cancel in mid-load: who wants to end the upload waits for this transaction.
    if state::lock(&mut tx, chunk.upload_id).await?.is_none_or(State::is_final) {
        return Err(JobError::Cancelled);
    }
    // Nothing of an atomic file with a bad row stays, so nothing more is loaded; the rest is still checked and reported.
    let doomed = chunk.policy == Policy::Atomic && (chunk.rejected_before > 0 || prepared.has_bad_rows());
    let group = if doomed { None } else { whole::group(env, context, chunk) };
    let placed = match group {
        Some(_) => whole::copy(env, &mut tx, chunk, &prepared).await?,
        None => None,
    };
    let completes = group.filter(|_| placed.is_some());
    if !doomed {
        let lost = match placed {
            Some(lost) => lost,
            None => copy_rows(env, &mut tx, chunk, &prepared, into).await?,
        };
        file_order::keep(&mut tx, chunk.upload_id, &prepared).await?;
        prepared.lose(chunk, &lost)?;
    }
    prepared.refused.sort_unstable_by_key(|refused| refused.line);
    copy::refuse(&mut tx, chunk.upload_id, chunk.no, &prepared.refused).await?;
    kept.note(&mut tx, chunk.upload_id, chunk.no).await?;
    let counts = prepared.counts();
    let loaded = if doomed { 0 } else { counts.accepted };
    chunk::count(&mut tx, chunk, &counts, kept, loaded).await?;
    let completed = match completes {
        Some(group) => {
            tx.execute("set local synchronous_commit to default").await?;
            Some(close::complete(env, context, tx, chunk.upload_id, Some(group)).await?)
        }
        None => {
            let Completion::Done(join) = env.queue.complete(&mut tx, &context.claim).await? else { return Ok(None) };
            tx.commit().await?;
            env.queue.push(join).await;
            None
        }
    };
    metrics::counter!("gristmill_rows_total", "outcome" => "accepted").increment(counts.accepted);
    metrics::counter!("gristmill_rows_total", "outcome" => "rejected").increment(counts.rejected);
    metrics::counter!("gristmill_rows_total", "outcome" => "duplicate").increment(counts.duplicate);
    let mut examples = prepared.refused;
    examples.truncate(3);
    Ok(Some(Committed { rejected: counts.rejected + counts.duplicate, examples, completed }))
}

/// Copies the rows to where they wait for the close, but for those of a file that came before, which it returns.
async fn copy_rows(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    prepared: &PreparedChunk,
    into: &Into,
) -> Result<Vec<KeyConflict>, JobError> {
    let lost = known::find(env, &mut *conn, chunk, prepared).await?;
    let rows = prepared.rows.len() - lost.len();
    let tuples = prepared.left(&lost).map(|row| prepared.tuple(row));
    copy::rows(&mut *conn, chunk.kind.table(), &into.name, tuples, rows).await?;
    if into.is_own {
        let keys = prepared.left(&lost).map(|row| (row.key, row.line));
        loaded::keep(conn, chunk.upload_id, chunk.no, chunk.first_line, keys).await?;
    }
    Ok(lost)
}

/// Tells the watchers. What is lost here is made good by the next event or the watcher's own look.
async fn tell(env: &Env, chunk: &Chunk, committed: Committed) {
    if committed.rejected > 0 {
        let data = serde_json::json!({
            "chunk": chunk.no,
            "rejected": committed.rejected,
            "examples": committed.examples.iter().map(|example| example.as_json(chunk.upload_id)).collect::<Vec<_>>(),
        });
        env.events.publish(chunk.upload_id, events::Name::Rejected, &data).await;
    }
    if let Some(completed) = committed.completed {
        return completed.tell(env).await;
    }
    match read::by_id(&env.pool, chunk.upload_id).await {
        // A final state is told by the one who made it.
        Ok(Some(upload)) if !upload.state.is_final() => env.events.publish_state(&upload).await,
        Ok(_) => {}
        Err(error) => tracing::warn!(upload_id = %chunk.upload_id, %error, "progress could not be read"),
    }
}

/// Runs CPU work on rayon's threads, so that tokio's stay free for leases and connections.
pub(crate) async fn on_rayon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JobError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    rayon::spawn(move || {
        // A panic is the job's, not the pool's: it is carried over and counts as an attempt.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        drop(tell.send(result));
    });
    match told.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => Err(JobError::RetryAfter(Duration::from_secs(1), "the pool of threads has shut down".into())),
    }
}
