//! Jobs whose only purpose is to be counted: each leaves one row, in the transaction that completes it.

use std::{sync::Arc, time::Duration};

use gristmill::{App, Data};
use gristmill_queue::{Completion, Context, Fence, Job, JobError};
use serde::{Deserialize, Serialize};

/// Without a unique key: what happens twice is to be seen.
pub(super) const TABLES: &str = "
create table chaos_effects (
    job uuid not null, n bigint not null, worker text not null, at timestamptz not null default clock_timestamp()
);
create table chaos_runs (
    job uuid not null, worker text not null, at timestamptz not null default clock_timestamp(),
    -- it came too late: another run had done the job
    fenced boolean not null default false
);
create index on chaos_effects (job);
create index on chaos_runs (job);
";

const QUEUE: &str = "chaos";
const SHORT: Duration = Duration::from_millis(20);

/// Works for a while, then has its effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Effect {
    pub(super) n: i64,
    pub(super) millis: u64,
    pub(super) end: Ending,
}

/// How the body of an [`Effect`] ends when nothing befalls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Done,
    /// The first attempt fails.
    SecondAttempt,
    /// Every attempt fails.
    Discard,
}

impl Job for Effect {
    const NAME: &'static str = "chaos.effect";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = 50;
}

/// Has no effect: the runner completes it, in a batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plain {
    pub(super) n: i64,
}

impl Job for Plain {
    const NAME: &'static str = "chaos.plain";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = 50;
}

/// Only the one build of the workers knows it: see [`Build`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Yesterday {
    pub(super) n: i64,
}

impl Job for Yesterday {
    const NAME: &'static str = "chaos.yesterday";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = 50;
}

/// Only the other one knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Today {
    pub(super) n: i64,
}

impl Job for Today {
    const NAME: &'static str = "chaos.today";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = 50;
}

/// Which jobs a worker knows beside those that all know. Both builds are of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Build {
    Yesterday,
    Today,
}

/// The end of group number `group`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Join {
    pub(super) group: i64,
    pub(super) failed: bool,
}

impl Job for Join {
    const NAME: &'static str = "chaos.join";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = 50;
}

/// What the schedule enqueues every second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tick {}

impl Job for Tick {
    const NAME: &'static str = "chaos.tick";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: u16 = 50;
}

/// The process that runs a body.
#[derive(Debug, Clone)]
struct WorkerName(Arc<str>);

/// Adds the bodies that `build` has; `worker` is the process that runs them.
pub(super) fn register(app: App, worker: &str, build: Build) -> App {
    let app = match build {
        Build::Yesterday => app.job(yesterday),
        Build::Today => app.job(today),
    };
    app.data(WorkerName(worker.into())).queue(QUEUE, |queue| queue.slots(8)).job(effect).job(join).job(tick).job(plain)
}

async fn yesterday(job: Yesterday, Data(worker): Data<WorkerName>, ctx: Context) -> Result<(), JobError> {
    work(&ctx, &worker.0, job.n, SHORT).await
}

async fn today(job: Today, Data(worker): Data<WorkerName>, ctx: Context) -> Result<(), JobError> {
    work(&ctx, &worker.0, job.n, SHORT).await
}

async fn join(job: Join, Data(worker): Data<WorkerName>, ctx: Context) -> Result<(), JobError> {
    work(&ctx, &worker.0, job.group, SHORT).await
}

async fn tick(_: Tick, Data(worker): Data<WorkerName>, ctx: Context) -> Result<(), JobError> {
    work(&ctx, &worker.0, 0, Duration::ZERO).await
}

async fn plain(_: Plain, Data(worker): Data<WorkerName>, ctx: Context) -> Result<(), JobError> {
    begin(&ctx, &worker.0).await
}

async fn effect(job: Effect, Data(worker): Data<WorkerName>, ctx: Context) -> Result<(), JobError> {
    match job.end {
        Ending::SecondAttempt if ctx.attempt == 1 => {
            begin(&ctx, &worker.0).await?;
            return Err(JobError::RetryAfter(Duration::from_millis(200), "the first attempt fails".into()));
        }
        Ending::Discard => {
            begin(&ctx, &worker.0).await?;
            return Err(JobError::discard("as it was asked to"));
        }
        Ending::Done | Ending::SecondAttempt => {}
    }
    work(&ctx, &worker.0, job.n, Duration::from_millis(job.millis)).await
}

/// Says who runs it, outside of any transaction of the job's.
async fn begin(ctx: &Context, worker: &str) -> Result<(), JobError> {
    sqlx::query("insert into chaos_runs (job, worker) values ($1, $2)")
        .bind(ctx.claim.id)
        .bind(worker)
        .execute(ctx.queue.pool())
        .await?;
    Ok(())
}

async fn work(ctx: &Context, worker: &str, n: i64, takes: Duration) -> Result<(), JobError> {
    begin(ctx, worker).await?;
    tokio::time::sleep(takes / 2).await;
    let ledger = |error: gristmill_queue::QueueError| JobError::Retry(error.into());
    let mut tx = ctx.queue.pool().begin().await?;
    if n % 3 == 0 {
        // As chunks do it: a crash of Postgres may take back the commit.
        sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
    }
    // Half of them look first; the others find out at the end.
    if n % 2 == 0 && ctx.queue.lock(&mut tx, &ctx.claim).await.map_err(ledger)? == Fence::AlreadyDone {
        return fenced(ctx, tx, worker).await;
    }
    sqlx::query("insert into chaos_effects (job, n, worker) values ($1, $2, $3)")
        .bind(ctx.claim.id)
        .bind(n)
        .bind(worker)
        .execute(&mut *tx)
        .await?;
    tokio::time::sleep(takes / 2).await;
    match ctx.queue.complete(&mut tx, &ctx.claim).await.map_err(ledger)? {
        Completion::Done(joins) => {
            tx.commit().await?;
            ctx.queue.push(joins).await;
            Ok(())
        }
        Completion::AlreadyDone => fenced(ctx, tx, worker).await,
    }
}

async fn fenced(ctx: &Context, tx: sqlx::Transaction<'_, sqlx::Postgres>, worker: &str) -> Result<(), JobError> {
    tx.rollback().await?;
    sqlx::query("update chaos_runs set fenced = true where job = $1 and worker = $2")
        .bind(ctx.claim.id)
        .bind(worker)
        .execute(ctx.queue.pool())
        .await?;
    Ok(())
}
