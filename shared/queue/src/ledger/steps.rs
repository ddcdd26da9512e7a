//! What a run records for those after it. Each call locks the row of the job and finds it still to be done, in this attempt; it
//! does not wait for that lock, as the run may hold it in a transaction of its own.

use std::time::Duration;

use sqlx::PgPool;

use super::millis;
use crate::{JobId, Schema};

/// A row of what was recorded.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Recorded {
    pub(crate) job_id: JobId,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// JSON.
    pub(crate) result: Option<String>,
    pub(crate) done: bool,
    /// Of a sleep or a wait.
    pub(crate) left_ms: i64,
}

/// Which run of a job: of the attempt after so many that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) id: JobId,
    pub(crate) attempt: i32,
}

/// Everything that these jobs have recorded.
pub(crate) async fn of_jobs(schema: Schema, pool: &PgPool, ids: &[JobId]) -> Result<Vec<Recorded>, sqlx::Error> {
    sqlx::query_as(schema.sql(
        "select job_id, kind, name, result::text, done_at is not null or coalesce(kind = 'sleep' and until <= now(), false) as done,
                coalesce(greatest(ceil(extract(epoch from until - now()) * 1000), 0), 0)::bigint as left_ms
         from gristmill.job_steps where job_id = any($1) order by job_id, done_at, name",
    ))
    .bind(ids)
    .fetch_all(pool)
    .await
}

/// Records a step, or the cursor. Returns what stands there now; none: the run is not to go on.
pub(crate) async fn keep(
    schema: Schema,
    pool: &PgPool,
    run: Run,
    kind: &str,
    name: &str,
    json: &str,
) -> Result<Option<String>, sqlx::Error> {
    let (held, kept): (bool, Option<String>) = sqlx::query_as(
        schema.sql("select held, kept::text from gristmill.keep_step($1, $2, $3, $4, $5::jsonb, now())"),
    )
    .bind(run.id)
    .bind(run.attempt)
    .bind(kind)
    .bind(name)
    .bind(json)
    .fetch_one(pool)
    .await?;
    Ok(held.then(|| kept.unwrap_or_else(|| "null".to_owned())))
}

/// Begins a sleep, or finds it. Returns what is left of it; none: the run is not to go on.
pub(crate) async fn sleep(
    schema: Schema,
    pool: &PgPool,
    run: Run,
    name: &str,
    time: Duration,
) -> Result<Option<Duration>, sqlx::Error> {
    let (held, left): (bool, i64) =
        sqlx::query_as(schema.sql("select held, left_ms from gristmill.keep_sleep($1, $2, $3, $4, now())"))
            .bind(run.id)
            .bind(run.attempt)
            .bind(name)
            .bind(within_years(time))
            .fetch_one(pool)
            .await?;
    Ok(held.then(|| Duration::from_millis(left.unsigned_abs())))
}

/// How a wait stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is over: the signal's payload as JSON, or none in its time.
    Over(Option<String>),
    /// So much of it is left.
    Left(Duration),
}

/// Looks for the signal of a wait, which begins with the first look. None: the run is not to go on.
pub(crate) async fn wait(
    schema: Schema,
    pool: &PgPool,
    run: Run,
    name: &str,
    signal: &str,
    time: Duration,
) -> Result<Option<Wait>, sqlx::Error> {
    let (held, done, payload, left): (bool, bool, Option<String>, i64) = sqlx::query_as(schema.sql(
        "select held, done, (result->'payload')::text, left_ms from gristmill.await_signal($1, $2, $3, $4, $5, now())",
    ))
    .bind(run.id)
    .bind(run.attempt)
    .bind(name)
    .bind(signal)
    .bind(within_years(time))
    .fetch_one(pool)
    .await?;
    let wait = if done { Wait::Over(payload) } else { Wait::Left(Duration::from_millis(left.unsigned_abs())) };
    Ok(held.then_some(wait))
}

/// What is added to a time must leave one that the ledger can hold.
fn within_years(time: Duration) -> i64 {
    millis(time.min(super::fail::MAX_DELAY))
}

/// Sends a signal. False: the job has ended, or there is none.
pub(crate) async fn signal(
    schema: Schema,
    conn: &mut sqlx::PgConnection,
    id: JobId,
    name: &str,
    json: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(schema.sql("select gristmill.signal($1, $2, $3::jsonb)"))
        .bind(id)
        .bind(name)
        .bind(json)
        .fetch_one(conn)
        .await
}
