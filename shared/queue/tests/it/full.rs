//! A Redis that is full: it refuses whatever needs memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use gristmill_platform::testing;
use gristmill_queue::{Context, Limits, Options, Worker};
use tokio::sync::Semaphore;

use crate::broker_state::about_redis;
use crate::support::{Effect, LONG, TestQueue, on, once, sweep, until, work};

async fn limit(test: &TestQueue, bytes: u64) {
    let () =
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async(&mut test.redis().await).await.unwrap();
}

async fn refuses_a_write(test: &TestQueue) -> bool {
    redis::cmd("SET").arg("one").arg("more").query_async::<()>(&mut test.redis().await).await.is_err()
}

/// When its worker was last heard of, in seconds.
async fn heard(test: &TestQueue) -> u64 {
    test.queue.workers().await.unwrap().iter().map(|worker| worker.heard).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_goes_on_and_ends() {
    about_redis!();
    let engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let (runs, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let body = {
        let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
        move |ctx: Context, job: Effect| {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            async move {
                runs.fetch_add(1, SeqCst);
                go.acquire().await.unwrap().forget();
                once(&ctx, job.n).await
            }
        }
    };
    let worker = || Worker::builder(&test.queue).queue("default", 2).register::<Effect>(body.clone()).build();
    let (one, other, sweeper) = (work(&worker()), work(&worker()), sweep(&test.queue));
    test.enqueue(&Effect::many(3), &Options::default()).await;
    until("three to run", LONG, || async { runs.load(SeqCst) == 3 }).await;

    limit(&test, 1).await;
    assert!(refuses_a_write(&test).await);
    assert!(test.queue.broker_memory().await.unwrap().is_much());
    // Committed, and refused by the broker.
    test.enqueue(&Effect::many(1), &Options::default()).await;
    let since = heard(&test).await;
    until("four leases to pass", LONG, || async { heard(&test).await >= since + 6 }).await;
    assert_eq!(runs.load(SeqCst), 3, "each still has its first worker");
    // What is said of a queue is heard, too.
    let pace = Limits { concurrency: Some(7), ..Limits::default() };
    test.queue.queues().set_limits("default", &pace).await.unwrap();

    go.add_permits(3);
    until("three effects", LONG, || async { test.effects().await == (3, 3) }).await;
    test.acknowledged().await;
    assert!(refuses_a_write(&test).await);

    limit(&test, 0).await;
    assert_eq!(test.queue.broker_memory().await.unwrap().share(), None);
    go.add_permits(1);
    until("the refused one", LONG, || async { test.effects().await == (4, 4) }).await;
    assert_eq!(runs.load(SeqCst), 4);
    one.stop().await;
    other.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_taken_and_a_dead_workers_job_too() {
    about_redis!();
    let engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    test.enqueue(&[crate::crash::Stuck], &Options::default()).await;
    crate::crash::claim_and_die(&test).await;
    test.enqueue(&Effect::many(50), &Options::default()).await;
    limit(&test, 1).await;
    let worker = Worker::builder(&test.queue)
        .queue("default", 4)
        .register::<Effect>(crate::support::effect)
        .register::<crate::crash::Stuck>(|ctx: Context, _| async move {
            ctx.progress(3, 4);
            while !matches!(ctx.queue.progress(ctx.claim.id).await, Ok(Some(_))) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            once(&ctx, -7).await
        })
        .build();
    let worker = work(&worker);
    until("all of them", LONG, || async { test.effects().await == (51, 51) }).await;
    test.acknowledged().await;
    let id =
        sqlx::query_scalar("select id from gristmill.jobs where name = 'stuck'").fetch_one(&test.pool).await.unwrap();
    let said = test.queue.progress(id).await.unwrap();
    assert_eq!(said.map(|said| said.done), Some(3));
    worker.stop().await;
}
