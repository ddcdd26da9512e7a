//! A job that waits becomes what a later one with its unique key says.

use std::time::Duration;

use gristmill_core::ClientId;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use crate::{
    Backoff, Enqueued, Job, JobId, NewJob, Options, Queue, QueueError, UniqueMode,
    envelope::{JobRow, enqueued},
    job,
    ledger::{millis, timeout_millis},
    trace,
};

/// What the job is to be.
#[derive(Debug, Clone)]
pub(crate) struct Replacement<'a> {
    pub(crate) name: &'a str,
    pub(crate) queue: &'a str,
    pub(crate) priority: u8,
    /// JSON.
    pub(crate) payload: &'a str,
    pub(crate) version: u16,
    pub(crate) max_attempts: u16,
    pub(crate) run_at: Option<Timestamp>,
    pub(crate) delay: Option<Duration>,
    pub(crate) retain_seconds: Option<i32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) tags: &'a [String],
    /// JSON.
    pub(crate) backoff: Option<String>,
    pub(crate) client_id: Option<ClientId>,
    pub(crate) fair_key: Option<String>,
    pub(crate) trace_parent: Option<String>,
}

impl<'a> Replacement<'a> {
    /// A job of type `J`, as it would be enqueued.
    pub(crate) fn of_job<J: Job>(payload: &'a str, options: &'a Options) -> Result<Self, QueueError> {
        Ok(Self {
            name: J::NAME,
            queue: options.queue.as_deref().unwrap_or(J::QUEUE),
            priority: options.priority.unwrap_or(J::PRIORITY),
            payload,
            version: J::VERSION,
            max_attempts: options.max_attempts.unwrap_or(J::MAX_ATTEMPTS),
            run_at: options.run_at,
            delay: options.delay,
            retain_seconds: options.retain.map(job::seconds).or_else(job::retain_seconds::<J>),
            timeout: options.timeout,
            expires_in: options.expires_in,
            tags: &options.tags,
            backoff: json(options.backoff)?,
            client_id: options.client_id,
            fair_key: options.fair_key.clone().or_else(|| options.client_id.map(|client| client.to_string())),
            trace_parent: options.trace_parents.last().cloned().flatten().or_else(trace::current),
        })
    }

    /// A job that is known by its name.
    pub(crate) fn of_new(new: &'a NewJob) -> Result<Self, QueueError> {
        Ok(Self {
            name: &new.name,
            queue: &new.queue,
            priority: new.priority,
            payload: new.payload.get(),
            version: new.version,
            max_attempts: new.max_attempts,
            run_at: new.run_at,
            delay: new.delay,
            retain_seconds: new.retain.map(job::seconds),
            timeout: new.timeout,
            expires_in: new.expires_in,
            tags: &new.tags,
            backoff: json(new.backoff)?,
            client_id: new.client_id,
            fair_key: new.turn(),
            trace_parent: new.trace_parent.clone().or_else(trace::current),
        })
    }
}

fn json(backoff: Option<Backoff>) -> Result<Option<String>, QueueError> {
    backoff.map(|backoff| serde_json::to_string(&backoff)).transpose().map_err(QueueError::Encode)
}

/// The job that waits, and where the broker has it.
#[derive(sqlx::FromRow)]
struct Waiting {
    queue: String,
    priority: i16,
    fair_key: Option<String>,
    ready: bool,
}

#[derive(sqlx::FromRow)]
struct Replaced {
    #[sqlx(flatten)]
    job: JobRow,
    ready: bool,
}

/// Makes the waiting job `id` be this one: with all its attempts before it, in the group and in the place of its order key that it
/// has. Returns what to push after the commit; none: it runs, has ended or is to be cancelled, and stays as it is.
///
/// # Errors
/// Returns an error if Postgres fails, or if the job is due and the broker does not say whether it runs.
pub(crate) async fn replace(
    queue: &Queue,
    conn: &mut PgConnection,
    id: JobId,
    new: &Replacement<'_>,
    mode: UniqueMode,
) -> Result<Option<Enqueued>, QueueError> {
    let schema = queue.schema();
    let waiting: Option<Waiting> = sqlx::query_as(schema.sql(
        "select queue, priority, fair_key, state = 'available' as ready from gristmill.jobs
         where id = $1 and state in ('available', 'scheduled') and cancel_requested_at is null for update",
    ))
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(old) = waiting else { return Ok(None) };
    if old.ready {
        // The message has the old payload. If this transaction is rolled back, the sweep pushes it again.
        let line = (u8::try_from(old.priority).unwrap_or(9), old.fair_key.as_deref().unwrap_or_default());
        if !queue.broker_queue(&old.queue).withdraw(queue.config().lease, line, id).await? {
            return Ok(None);
        }
    }
    let has_time = mode == UniqueMode::Debounce || new.run_at.is_some() || new.delay.is_some();
    let replaced: Replaced = sqlx::query_as(schema.sql(include_str!("replace.sql")))
        .bind(id)
        .bind(new.name)
        .bind(new.queue)
        .bind(i16::from(new.priority.min(9)))
        .bind(new.payload)
        .bind(i32::from(new.max_attempts.max(1)))
        .bind(has_time)
        .bind(new.run_at.map(|at| at.max(Timestamp::UNIX_EPOCH).to_sqlx()))
        .bind(new.delay.map_or(0, millis))
        .bind(new.client_id)
        .bind(&new.trace_parent)
        .bind(&new.fair_key)
        .bind(i16::try_from(new.version).unwrap_or(i16::MAX))
        .bind(new.retain_seconds)
        .bind(new.timeout.map(timeout_millis))
        .bind(new.expires_in.map(millis))
        .bind((!new.tags.is_empty()).then_some(new.tags))
        .bind(&new.backoff)
        .fetch_one(&mut *conn)
        .await?;
    if !replaced.ready {
        // It may be due sooner than the sweep thinks.
        sqlx::query("select pg_notify($1, 'jobs')").bind(schema.name()).execute(conn).await?;
    }
    let messages = if replaced.ready { enqueued(vec![replaced.job]).messages } else { Vec::new() };
    Ok(Some(Enqueued { messages, existing: Some(id), replaced: true, ..Enqueued::default() }))
}
