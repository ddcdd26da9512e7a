//! The search for the record that takes down whoever reads it.
//!
//! A chunk that took its workers down becomes a part: the whole of it. A part is tried alone in its process, and the try
//! is written down before. A part that took its process down is halved; one of a single record that did so twice is a
//! reject. So each death but those of the last part halves what is left, and a record that only stood beside a deadly one,
//! or was killed with its process by chance, goes through.

use std::{ops::Range, sync::Arc};

use gristmill::Data;
use gristmill_pipelines::{Place, places};
use gristmill_queue::{Completion, Context, Fence, JobError};
use gristmill_uploads::jobs::{LoadChunk, LoadPart};
use sqlx::{FromRow, PgConnection, Postgres, Transaction};

use super::{ALONE, Chunk, fetch, finish, load, on_rayon, prepare};
use crate::Env;

/// Deaths after which a single record is left out.
const DEADLY: i32 = 2;
/// Deaths after which even the search is given up: halving or leaving out is deadly itself.
const HOPELESS: i32 = 6;

#[derive(FromRow)]
struct Part {
    end_byte: Option<i64>,
    first_line: i64,
    /// Processes that it took down, alone in them.
    deaths: i32,
}

/// A chunk that took its workers down: its place is taken by a part that is the whole of it. Nobody looks at its bytes.
pub(crate) async fn suspect_chunk(job: LoadChunk, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let LoadChunk { upload_id, no } = job;
    let Some(mut tx) = begin(&env, &context).await? else { return Ok(()) };
    sqlx::query(
        "insert into chunk_parts (upload_id, no, first_byte, first_line)
         select upload_id, no, 0, first_line from chunks where upload_id = $1 and no = $2",
    )
    .bind(upload_id)
    .bind(no)
    .execute(&mut *tx)
    .await?;
    tracing::error!(%upload_id, no, "a chunk took its workers down: the search for the record that does it begins");
    replace(&env, &context, tx, &[LoadPart { upload_id, no, first_byte: 0 }]).await
}

/// Workers were lost while the part waited for its turn in them, as its own tries are counted and few: it waits anew.
pub(crate) async fn wait_anew(job: LoadPart, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let Some(tx) = begin(&env, &context).await? else { return Ok(()) };
    replace(&env, &context, tx, &[job]).await
}

/// Loads a part, or halves it, or leaves it out; see the module.
pub(crate) async fn load_part(job: LoadPart, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let Some(mut chunk) = Chunk::find(&env, job.upload_id, job.no).await? else {
        return Err(JobError::Cancelled);
    };
    let _alone = ALONE.write().await;
    if context.cancel.is_cancelled() {
        return Err(JobError::Cancelled);
    }
    let Some(part) = begin_try(&env, &context, &job).await? else { return Ok(()) };
    if part.deaths >= HOPELESS {
        return Err(JobError::discard(format!("{} workers were lost with it, and it cannot be halved", part.deaths)));
    }
    chunk.become_part(job.first_byte, part.first_line.cast_unsigned());
    let chunk = Arc::new(chunk);
    let object = fetch(&env, &chunk).await?;
    let end = part.end_byte.map(usize::try_from).transpose()?.unwrap_or(object.len());
    let bytes = object.slice(usize::try_from(job.first_byte)?..end);
    if part.deaths == 0 {
        return load(&env, &context, &chunk, bytes).await;
    }
    let (records, line, format) = (bytes.clone(), chunk.first_line, chunk.layout.format());
    let max_record_bytes = chunk.rules.max_record_bytes;
    let records = on_rayon(move || places(&records, line, format, max_record_bytes)).await?;
    match &records[..] {
        [] => Err(JobError::discard("a part without a record took its worker down")),
        [_] if part.deaths < DEADLY => load(&env, &context, &chunk, bytes).await,
        [Place { line, bytes: Range { start, end } }] => {
            tracing::error!(upload_id = %job.upload_id, line, "a record that takes its workers down is left out");
            let prepared = prepare::poison(&chunk, *line, &bytes[*start..*end], &bytes);
            finish(&env, &context, &chunk, prepared).await
        }
        [.., _] => halve(&env, &context, &job, &records[records.len() / 2]).await,
    }
}

/// Writes down that a try begins, before it does. One of the same attempt of the job that was begun before came to no end
/// that the ledger knows: its process is gone. `None`: the job is done.
async fn begin_try(env: &Env, context: &Context, job: &LoadPart) -> Result<Option<Part>, JobError> {
    let Some(mut tx) = begin(env, context).await? else { return Ok(None) };
    let part: Option<Part> = sqlx::query_as(
        "update chunk_parts set tries = case when attempt = $4 then tries + 1 else 1 end, attempt = $4
         where upload_id = $1 and no = $2 and first_byte = $3
         returning end_byte, first_line, tries - 1 as deaths",
    )
    .bind(job.upload_id)
    .bind(job.no)
    .bind(job.first_byte)
    .bind(i32::try_from(context.attempt)?)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    part.map(Some).ok_or_else(|| JobError::discard("nothing is known of this part of a chunk"))
}

/// A transaction that holds the job's row; `None`: the job is done.
async fn begin(env: &Env, context: &Context) -> Result<Option<Transaction<'static, Postgres>>, JobError> {
    let mut tx = env.pool.begin().await?;
    let fence = env.queue.lock(&mut tx, &context.claim).await?;
    Ok((fence == Fence::Held).then_some(tx))
}

/// Cuts the part in two where the record `second` starts.
async fn halve(env: &Env, context: &Context, job: &LoadPart, second: &Place) -> Result<(), JobError> {
    let cut = job.first_byte + i64::try_from(second.bytes.start)?;
    let Some(mut tx) = begin(env, context).await? else { return Ok(()) };
    let second_half = cut_in_two(&mut tx, job, cut, second.line.cast_signed()).await?;
    tracing::warn!(upload_id = %job.upload_id, no = job.no, from = job.first_byte, cut, "a deadly part is halved");
    replace(env, context, tx, &[job.clone(), second_half]).await
}

async fn cut_in_two(conn: &mut PgConnection, job: &LoadPart, cut: i64, line: i64) -> Result<LoadPart, JobError> {
    sqlx::query(
        "with first as (
             select * from chunk_parts where upload_id = $1 and no = $2 and first_byte = $3 for update
         ), second as (
             insert into chunk_parts (upload_id, no, first_byte, end_byte, first_line)
             select upload_id, no, $4, end_byte, $5 from first
         )
         update chunk_parts p set end_byte = $4, tries = 0 from first
         where p.upload_id = first.upload_id and p.no = first.no and p.first_byte = first.first_byte",
    )
    .bind(job.upload_id)
    .bind(job.no)
    .bind(job.first_byte)
    .bind(cut)
    .bind(line)
    .execute(conn)
    .await?;
    Ok(LoadPart { first_byte: cut, ..*job })
}

/// Commits, with these jobs in place of the one that runs.
async fn replace(
    env: &Env,
    context: &Context,
    mut tx: Transaction<'static, Postgres>,
    parts: &[LoadPart],
) -> Result<(), JobError> {
    if let Completion::Done(jobs) = env.queue.replace(&mut tx, &context.claim, parts).await? {
        tx.commit().await?;
        env.queue.push(jobs).await;
    }
    Ok(())
}
