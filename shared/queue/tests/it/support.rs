//! A queue of one's own, jobs, and waiting.

use std::{future::Future, time::Duration};

use gristmill_platform::testing::{self, Stack};
use gristmill_queue::{Completion, Context, Job, JobError, JobId, Options, Queue, QueueConfig, Sweeper, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::broker_state::broker;

pub(crate) struct TestQueue {
    pub(crate) queue: Queue,
    pub(crate) pool: PgPool,
    pub(crate) stack: Stack,
}

pub(crate) async fn test_queue() -> TestQueue {
    on(testing::stack().await).await
}

pub(crate) async fn on(stack: Stack) -> TestQueue {
    sqlx::query(
        "create table effects (job uuid not null, n bigint not null, at timestamptz default clock_timestamp())",
    )
    .execute(&stack.pool)
    .await
    .unwrap();
    let queue = Queue::connect(stack.pool.clone(), config(&stack)).await.unwrap();
    TestQueue { queue, pool: stack.pool.clone(), stack }
}

pub(crate) fn config(stack: &Stack) -> QueueConfig {
    QueueConfig {
        namespace: stack.namespace.clone(),
        lease: Duration::from_millis(1_500),
        backoff: Duration::from_millis(20),
        max_deliveries: 3,
        grace: Duration::from_secs(5),
        ..QueueConfig::on(broker(stack))
    }
}

impl TestQueue {
    /// Enqueues, commits, pushes.
    pub(crate) async fn enqueue<J: Job>(&self, jobs: &[J], options: &Options) -> Vec<JobId> {
        let mut tx = self.pool.begin().await.unwrap();
        let enqueued = self.queue.enqueue_all(&mut tx, jobs, options).await.unwrap();
        tx.commit().await.unwrap();
        let ids = enqueued.ids().to_vec();
        self.queue.push(enqueued).await;
        ids
    }

    /// Enqueues and commits, as a process that dies before its push.
    pub(crate) async fn enqueue_and_die<J: Job>(&self, jobs: &[J]) -> Vec<JobId> {
        let mut tx = self.pool.begin().await.unwrap();
        let enqueued = self.queue.enqueue_all(&mut tx, jobs, &Options::default()).await.unwrap();
        tx.commit().await.unwrap();
        enqueued.ids().to_vec()
    }

    /// Waits until the broker has heard of every end: it hears after the ledger, and takes no job that it knows still.
    pub(crate) async fn acknowledged(&self) {
        until("the acknowledgements", LONG, || async { self.queue.broker_depth("default").await.unwrap() == (0, 0) })
            .await;
    }

    pub(crate) async fn state(&self, id: JobId) -> (String, i32, Option<String>) {
        sqlx::query_as("select state, attempt, last_error from gristmill.jobs where id = $1")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Effects, and jobs that have one.
    pub(crate) async fn effects(&self) -> (i64, i64) {
        sqlx::query_as("select count(*), count(distinct job) from effects").fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) fn effect_worker(&self, concurrency: usize) -> Worker {
        Worker::builder(&self.queue)
            .label("test")
            .queue("default", concurrency)
            .register::<Effect>(effect)
            .register::<Join>(join)
            .build()
    }
}

/// One row in `effects`, in the transaction that completes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Effect {
    pub(crate) n: i64,
    #[serde(default)]
    pub(crate) millis: u64,
}

impl Effect {
    pub(crate) fn new(n: i64) -> Self {
        Self { n, millis: 0 }
    }

    pub(crate) fn many(n: i64) -> Vec<Self> {
        (0..n).map(Self::new).collect()
    }
}

impl Job for Effect {
    const NAME: &'static str = "effect";
    const MAX_ATTEMPTS: u16 = 100;
}

pub(crate) async fn effect(ctx: Context, job: Effect) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(job.millis)).await;
    once(&ctx, job.n).await
}

/// The join of a group: the same, with a number of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Join {
    pub(crate) failed: bool,
}

impl Job for Join {
    const NAME: &'static str = "join";
    const MAX_ATTEMPTS: u16 = 100;
}

pub(crate) async fn join(ctx: Context, job: Join) -> Result<(), JobError> {
    once(&ctx, if job.failed { -2 } else { -1 }).await
}

pub(crate) async fn once(ctx: &Context, n: i64) -> Result<(), JobError> {
    let mut tx = ctx.queue.pool().begin().await?;
    sqlx::query("insert into effects (job, n) values ($1, $2)").bind(ctx.claim.id).bind(n).execute(&mut *tx).await?;
    match ctx.queue.complete(&mut tx, &ctx.claim).await.map_err(|error| JobError::Retry(error.into()))? {
        Completion::Done(enqueued) => {
            tx.commit().await?;
            ctx.queue.push(enqueued).await;
        }
        Completion::AlreadyDone => tx.rollback().await?,
    }
    Ok(())
}

/// A worker (or sweeper) in the background, gone with the handle.
pub(crate) struct Background {
    pub(crate) stop: CancellationToken,
    pub(crate) task: AbortOnDropHandle<()>,
}

pub(crate) fn work(worker: &Worker) -> Background {
    let (worker, stop) = (worker.clone(), CancellationToken::new());
    let token = stop.clone();
    Background { stop, task: AbortOnDropHandle::new(tokio::spawn(async move { worker.run(token).await.unwrap() })) }
}

pub(crate) fn sweep(queue: &Queue) -> Background {
    let (sweeper, stop) = (Sweeper::new(queue), CancellationToken::new());
    let token = stop.clone();
    Background { stop, task: AbortOnDropHandle::new(tokio::spawn(sweeper.run(token))) }
}

impl Background {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Waits until `done`, or says what was awaited.
pub(crate) async fn until<F, Fut>(what: &str, limit: Duration, mut done: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let started = std::time::Instant::now();
    while !done().await {
        assert!(started.elapsed() < limit, "waited {limit:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(60);
