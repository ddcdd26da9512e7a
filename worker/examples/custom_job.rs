//! A worker with a job of its own, beside everything that `gristmill worker` runs.
//!
//! `cargo run -p gristmill-worker --example custom_job`: it reads the settings of `gristmill worker`, from flags and from the
//! environment, and runs until Ctrl-C.

use gristmill::App;
use gristmill_core::ClientId;
use gristmill_platform::config;
use gristmill_queue::{Completion, Context, Enqueued, Job, JobError, Options, Queue, QueueError};
use gristmill_worker::{Config, WorkerHealth, run_with};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

/// The payload: what the job needs to know, and no more. It is kept in the ledger as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct CountRows {
    pub(crate) client_id: ClientId,
}

impl Job for CountRows {
    const NAME: &'static str = "example.count_rows";
    /// A queue of its own, so that operators can pause and limit it apart.
    const QUEUE: &'static str = "example";
}

/// The body: counts the rows of a client's completed uploads. Its effect and its end are one transaction, so the effect happens once, however often the job is delivered.
async fn count_rows(job: CountRows, context: Context) -> Result<(), JobError> {
    count(&context, &job).await.map_err(|error| JobError::Retry(error.into()))
}

async fn count(context: &Context, job: &CountRows) -> Result<(), QueueError> {
    let mut tx = context.queue.pool().begin().await?;
    sqlx::query(
        "insert into example_counts (client_id, rows_accepted) \
         select $1, coalesce(sum(accepted), 0)::bigint from uploads join upload_progress on upload_id = id \
         where client_id = $1 and state = 'completed'",
    )
    .bind(job.client_id)
    .execute(&mut *tx)
    .await?;
    match context.queue.complete(&mut tx, &context.claim).await? {
        Completion::Done(next) => {
            tx.commit().await?;
            context.queue.push(next).await;
        }
        Completion::AlreadyDone => tx.rollback().await?,
    }
    Ok(())
}

/// Enqueues the job, in the caller's transaction. After its commit the caller hands what this returns to [`Queue::push`].
#[allow(dead_code, reason = "called where the need arises: in a route, or in another job's body")]
pub(crate) async fn enqueue(tx: &mut PgConnection, queue: &Queue, client_id: ClientId) -> Result<Enqueued, QueueError> {
    queue.enqueue(tx, &CountRows { client_id }, &Options::default()).await
}

/// Runs the worker until `shutdown`.
pub(crate) async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let more = |app: App| app.queue("example", |queue| queue.slots(2)).job(count_rows);
    run_with(config, more, WorkerHealth::default(), shutdown).await
}

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let config = config::read(std::env::args_os().skip(1))?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    run(config, shutdown).await
}
