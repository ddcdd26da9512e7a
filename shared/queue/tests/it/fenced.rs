//! Who no longer has a job decides nothing about it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use gristmill_platform::{engines::Engine, testing};
use gristmill_queue::{Context, Fence, Job, JobError, JobId, Options, Worker};
use serde::{Deserialize, Serialize};

use crate::broker_state::about_redis;
use crate::support::{LONG, TestQueue, on, once, sweep, test_queue, until, work};

/// Its first run is overtaken by another one, its second run has the effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Overtaken;

impl Job for Overtaken {
    const NAME: &'static str = "overtaken";
    const MAX_ATTEMPTS: u16 = 2;
}

/// As the failure of another run, and the sweep after it, leave the row.
async fn set_state(ctx: &Context, state: &str) -> Result<(), JobError> {
    sqlx::query(
        "update gristmill.jobs set state = $2, run_at = now() + case $2 when 'scheduled' then interval '1 hour' else '0' end
         where id = $1",
    )
    .bind(ctx.claim.id)
    .bind(state)
    .execute(ctx.queue.pool())
    .await?;
    Ok(())
}

/// The first run does `first`; the second one takes a while.
fn worker<F, Fut>(test: &TestQueue, first: F) -> Worker
where
    F: Fn(Context) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let runs = Arc::new(AtomicU32::new(0));
    let body = move |ctx: Context, _| {
        let (is_first, first) = (runs.fetch_add(1, Ordering::Relaxed) == 0, first.clone());
        async move {
            if is_first {
                return first(ctx).await;
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
            once(&ctx, 1).await
        }
    };
    Worker::builder(&test.queue).queue("default", 2).register::<Overtaken>(body).build()
}

/// Runs one job, whose first run does `first`, until its end.
async fn run<F, Fut>(test: &TestQueue, first: F) -> JobId
where
    F: Fn(Context) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let id = test.enqueue(&[Overtaken], &Options::default()).await[0];
    let (worker, sweeper) = (work(&worker(test, first)), sweep(&test.queue));
    until("the end of the job", LONG, || async {
        !["available", "scheduled"].contains(&test.state(id).await.0.as_str())
    })
    .await;
    worker.stop().await;
    sweeper.stop().await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_cancels_no_job_that_nobody_wanted_cancelled() {
    for cancelled in [true, false] {
        let test = test_queue().await;
        let id = run(&test, move |ctx| async move {
            set_state(&ctx, "scheduled").await?;
            ctx.cancel.cancelled().await;
            set_state(&ctx, "available").await?;
            Err(if cancelled { JobError::Cancelled } else { JobError::retry("told to stop") })
        })
        .await;
        assert_eq!(test.state(id).await, ("completed".into(), 0, None));
        assert_eq!(test.effects().await, (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_found_the_job_done_completes_none_that_is_to_be_done_again() {
    let test = test_queue().await;
    let id = run(&test, |ctx| async move {
        set_state(&ctx, "scheduled").await?;
        let mut tx = ctx.queue.pool().begin().await?;
        assert_eq!(ctx.queue.lock(&mut tx, &ctx.claim).await?, Fence::AlreadyDone);
        tx.rollback().await?;
        set_state(&ctx, "available").await
    })
    .await;
    assert_eq!(test.state(id).await, ("completed".into(), 0, None));
    assert_eq!(test.effects().await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_a_run_whose_lease_was_lost_uses_up_no_attempt() {
    let test = Arc::new(test_queue().await);
    let (test, broker) = (Arc::clone(&test), test);
    let id = run(&test, move |ctx| {
        let broker = Arc::clone(&broker);
        async move {
            // As after a silence: the lease runs out, and the job is given to another run, before this one hears of it.
            while !broker.has_ended_deliveries(ctx.claim.id).await {
                broker.end_lease(ctx.claim.id).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(JobError::retry("too late"))
        }
    })
    .await;
    assert_eq!(test.state(id).await, ("completed".into(), 0, None));
    assert_eq!(test.effects().await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_knows_whose_the_job_is_its_failure_does_not_count() {
    about_redis!();
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let id = test.enqueue(&[Overtaken], &Options::default()).await[0];
    let (began, may_fail) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begins, waits) = (Arc::clone(&began), Arc::clone(&may_fail));
    let first = move |_| {
        let (begins, waits) = (Arc::clone(&begins), Arc::clone(&waits));
        async move {
            begins.store(true, Ordering::Release);
            while !waits.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(JobError::retry("cut off"))
        }
    };
    let (worker, sweeper) = (work(&worker(&test, first)), sweep(&test.queue));
    until("the first run", LONG, || async { began.load(Ordering::Acquire) }).await;
    engines.kill(Engine::Redis).await.unwrap();
    // Longer than the lease.
    tokio::time::sleep(Duration::from_secs(2)).await;
    may_fail.store(true, Ordering::Release);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(test.state(id).await, ("available".into(), 0, None));
    engines.restart(Engine::Redis).await.unwrap();
    until("the second run", LONG, || async { test.state(id).await.0 == "completed" }).await;
    assert_eq!(test.state(id).await.1, 0);
    worker.stop().await;
    sweeper.stop().await;
}
