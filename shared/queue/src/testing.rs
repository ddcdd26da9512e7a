//! For the tests of those who use the queue: what was enqueued, and one job run at once, without a worker.
//! [`Queue::drain`] runs everything that is due.

use std::panic::Location;

use gristmill_core::ClientId;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    Content, ContentKind, Job, JobId, Options, Queue, QueueError, Worker, codec,
    delivery::WorkerState,
    run::{Delivery, Runner},
};

/// A job that is still to be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Waiting<J> {
    /// Its id.
    pub id: JobId,
    /// Its payload.
    pub job: J,
    /// The queue it waits in.
    pub queue: String,
    /// 0 is the most urgent, 9 the least.
    pub priority: u8,
    /// Not before this time.
    pub run_at: Timestamp,
    /// Whether `run_at` lay in the future when it was enqueued, and is not there yet.
    pub scheduled: bool,
    /// On behalf of this client.
    pub client_id: Option<ClientId>,
    /// The W3C `traceparent` it follows.
    pub trace_parent: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: JobId,
    name: String,
    payload: String,
    queue: String,
    priority: i16,
    run_at: jiff_sqlx::Timestamp,
    state: String,
    client_id: Option<ClientId>,
    trace_parent: Option<String>,
}

/// All jobs of this kind that are still to be done, the oldest first.
///
/// # Errors
/// Returns [`QueueError::Encode`] if a payload is not one of `J`, or an error if Postgres fails.
pub async fn waiting<J: Job>(queue: &Queue) -> Result<Vec<Waiting<J>>, QueueError> {
    let names: Vec<&str> = J::ALIASES.iter().copied().chain([J::NAME]).collect();
    let rows: Vec<Row> = sqlx::query_as(queue.schema().sql(
        "select id, name, payload::text, queue, priority, run_at, state, client_id, trace_parent
         from gristmill.jobs where state in ('available', 'scheduled') and name = any($1) order by id",
    ))
    .bind(names)
    .fetch_all(queue.pool())
    .await?;
    let waiting = rows.into_iter().map(|row| {
        let content = Content::new(&row.name, ContentKind::Payload);
        let payload = codec::decode(queue.config().codec(), content, &row.payload)?;
        Ok(Waiting {
            job: serde_json::from_str(&payload).map_err(QueueError::Encode)?,
            id: row.id,
            queue: row.queue,
            priority: u8::try_from(row.priority).unwrap_or(9),
            run_at: row.run_at.to_jiff(),
            scheduled: row.state == "scheduled",
            client_id: row.client_id,
            trace_parent: row.trace_parent,
        })
    });
    waiting.collect()
}

/// The first waiting job of this kind that `matches`: `assert_enqueued::<Mail>(&queue, |w| w.job.to == "ana").await`.
///
/// # Panics
/// When there is none: says where it was asked and what waits instead. And when the ledger does not answer.
#[track_caller]
pub fn assert_enqueued<J: Job>(
    queue: &Queue,
    matches: impl Fn(&Waiting<J>) -> bool,
) -> impl Future<Output = Waiting<J>> {
    let asked = Location::caller();
    async move {
        let mut all = found::<J>(queue, asked).await;
        match all.iter().position(&matches) {
            Some(at) => all.swap_remove(at),
            None => panic!("{asked}: no such job `{}` is enqueued; there are: {}", J::NAME, texts(&all)),
        }
    }
}

/// No waiting job of this kind `matches`.
///
/// # Panics
/// When one does, and when the ledger does not answer.
#[track_caller]
pub fn refute_enqueued<J: Job>(queue: &Queue, matches: impl Fn(&Waiting<J>) -> bool) -> impl Future<Output = ()> {
    let asked = Location::caller();
    async move {
        let all: Vec<_> = found::<J>(queue, asked).await.into_iter().filter(|job| matches(job)).collect();
        assert!(all.is_empty(), "{asked}: such jobs `{}` are enqueued: {}", J::NAME, texts(&all));
    }
}

async fn found<J: Job>(queue: &Queue, asked: &Location<'_>) -> Vec<Waiting<J>> {
    match waiting(queue).await {
        Ok(all) => all,
        Err(error) => panic!("{asked}: {}", gristmill_core::chain(&error)),
    }
}

fn texts<J: Job>(all: &[Waiting<J>]) -> String {
    let text = |one: &Waiting<J>| {
        let payload = serde_json::to_string(&one.job).unwrap_or_else(|error| error.to_string());
        format!("{payload} in `{}` at {}", one.queue, one.run_at)
    };
    if all.is_empty() { "none".into() } else { all.iter().map(text).collect::<Vec<_>>().join(", ") }
}

/// How the ledger stands after [`run_inline`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// The job.
    pub id: JobId,
    /// `completed`, `scheduled` (for its next attempt), `dead`, `cancelled`, or `available` when it was given back.
    pub state: String,
    /// Attempts that failed.
    pub attempt: u32,
    /// Why the last one did.
    pub error: Option<String>,
    /// When the next one is due.
    pub run_at: Timestamp,
}

/// Enqueues a job and runs it once, here and now, by the body that `worker` has for it: with a real context, timeout,
/// panic guard, fence and settlement, as when the broker delivers it. Nothing goes by the broker but what the job's end
/// pushes (a group's join), so no worker needs to run. [`Options::run_at`] and [`Options::delay`] do not count.
///
/// # Errors
/// Returns the errors of [`Queue::enqueue`].
pub async fn run_inline<J: Job>(worker: &Worker, job: &J, options: &Options) -> Result<Ran, QueueError> {
    let queue = worker.ledger();
    let options = Options { run_at: None, delay: None, ..options.clone() };
    let enqueued = queue.enqueue(&mut *queue.pool().acquire().await?, job, &options).await?;
    let (worker_state, give_up) = (WorkerState::default(), CancellationToken::new());
    let runner = Runner::new(
        queue.clone(),
        worker.bodies(),
        Default::default(),
        worker.observer(),
        "inline".into(),
        worker_state,
        give_up,
    );
    for message in enqueued.messages {
        let delivery = Delivery {
            queue: message.queue.into(),
            id: message.id,
            number: 1,
            body: message.body.into_bytes(),
            lost: CancellationToken::new(),
            name: Default::default(),
            lease_check: None,
        };
        // An error means that it was given back: the row says so.
        let _ = runner.run(delivery).await;
    }
    let id = *enqueued.ids.first().ok_or(QueueError::Ledger(sqlx::Error::RowNotFound))?;
    let (state, attempt, error, run_at): (String, i32, Option<String>, jiff_sqlx::Timestamp) = sqlx::query_as(
        queue.schema().sql("select state, attempt, last_error, run_at from gristmill.jobs where id = $1"),
    )
    .bind(id)
    .fetch_one(queue.pool())
    .await?;
    Ok(Ran { id, state, attempt: attempt.unsigned_abs(), error, run_at: run_at.to_jiff() })
}
