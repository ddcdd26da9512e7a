//! What nobody is to do any more leaves the broker, with no worker there to take it.

use std::time::Duration;

use gristmill_queue::{
    Context, GroupPolicy, Job, JobError, JobFilter, JobId, NewGroup, Options, Worker,
    redis::{Broker, BrokerJob},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::broker_state::about_redis;
use crate::support::{Effect, Join, LONG, TestQueue, effect, join, sweep, test_queue, until, work};

/// Runs until it is told to stop.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Endless;

impl Job for Endless {
    const NAME: &'static str = "endless";
    const TIMEOUT: Duration = Duration::from_secs(600);
}

async fn endless(ctx: Context, _: Endless) -> Result<(), JobError> {
    ctx.progress(0, 1);
    ctx.cancel.cancelled().await;
    Err(JobError::Cancelled)
}

fn of(key: &str, priority: u8) -> Options {
    Options { fair_key: Some(key.into()), priority: Some(priority), ..Options::default() }
}

fn one_slot(test: &TestQueue) -> Worker {
    Worker::builder(&test.queue)
        .queue("default", 1)
        .register::<Endless>(endless)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build()
}

async fn running(test: &TestQueue, id: JobId) {
    until("the job to run", LONG, || async { test.queue.progress(id).await.unwrap().is_some() }).await;
}

/// Keys that stay for longer than a minute, but for the sign that the broker has its data.
async fn lasting(test: &TestQueue) -> Vec<String> {
    let mut lasting = Vec::new();
    for key in test.keys().await {
        let seconds: i64 = test.ttl(&key).await;
        if seconds == -1 && !key.ends_with(":epoch") {
            lasting.push(key);
        }
    }
    lasting
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_leaves_redis_without_a_worker_and_what_runs_stays() {
    let test = test_queue().await;
    let mut group = test.pool.acquire().await.unwrap();
    let stopped = test.queue.create_group(&mut group, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
    let first = test.enqueue(&Effect::many(9_000), &of("a", 5)).await;
    let runs = test.enqueue(&[Endless], &of("a", 0)).await[0];
    test.enqueue(&Effect::many(6_000), &Options { group: Some(stopped), ..of("b", 5) }).await;
    for client in 0..50 {
        test.enqueue(&Effect::many(100), &of(&format!("c{client}"), 9)).await;
    }
    // Its one slot is taken by what runs.
    let worker = work(&one_slot(&test));
    running(&test, runs).await;
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (20_000, 1));
    // One waits after a failure.
    test.delay(first[4_000], "5:a").await;

    // By a filter, with their group, and with their rows.
    let filter = JobFilter { name: Some("effect".into()), ..JobFilter::default() };
    test.queue.cancel_group(&mut group, stopped).await.unwrap();
    drop(group);
    sqlx::query("delete from gristmill.jobs where priority = 9").execute(&test.pool).await.unwrap();
    assert_eq!(test.queue.jobs().cancel(&filter).await.unwrap().changed, 9_000);
    let sweeper = sweep(&test.queue);
    until("only what runs", LONG * 2, || async { test.queue.broker_depth("default").await.unwrap() == (0, 1) }).await;
    assert_eq!(test.state(runs).await.0, "available");
    until("no lines", LONG, || async { !test.keys().await.iter().any(|key| key.contains(":ready:")) }).await;

    assert_eq!(test.queue.cancel_jobs(&[runs]).await.unwrap().requested, 1);
    until("its end", LONG, || async { test.state(runs).await.0 == "cancelled" }).await;
    worker.stop().await;
    until("an empty broker", LONG, || async { lasting(&test).await.is_empty() }).await;
    sweeper.stop().await;
    assert_eq!(test.effects().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_held_leaves_too() {
    let test = test_queue().await;
    test.queue.queues().set_limits("default", &limits()).await.unwrap();
    let mut ids = test.enqueue(&[Endless], &of("a", 0)).await;
    let worker = work(&one_slot(&test));
    running(&test, ids[0]).await;
    ids.extend(test.enqueue(&Effect::many(10), &of("a", 5)).await);
    // As if it was killed.
    drop(worker);
    let sweeper = sweep(&test.queue);
    test.queue.cancel_jobs(&ids).await.unwrap();
    until("an empty queue", LONG * 2, || async {
        let left = lasting(&test).await;
        !left.iter().any(|key| key.contains("default") && !key.ends_with(":limits"))
    })
    .await;
    assert_eq!(test.count("select count(*) from gristmill.jobs where state = 'cancelled'").await, 11);
    sweeper.stop().await;
}

fn limits() -> gristmill_queue::redis::Limits {
    gristmill_queue::redis::Limits { key_concurrency: Some(1), concurrency: Some(5), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_run_again_meanwhile_is_not_lost() {
    let test = test_queue().await;
    let sweeper = sweep(&test.queue);
    let ids = test.enqueue(&Effect::many(600), &of("a", 5)).await;
    for _ in 0..8 {
        test.queue.cancel_jobs(&ids).await.unwrap();
        let mut tx = test.pool.begin().await.unwrap();
        let again = test.queue.redrive(&mut tx, &ids).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(again.ids().len(), 600);
        test.queue.push(again).await;
    }
    let worker = work(&test.effect_worker(8));
    until("all of them", LONG, || async { test.effects().await == (600, 600) }).await;
    worker.stop().await;
    until("an empty broker", LONG, || async { lasting(&test).await.is_empty() }).await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_never_had_is_left_alone() {
    about_redis!();
    let test = test_queue().await;
    let (mail, mut redis) = (Broker::new(&test.stack.namespace, "mail"), test.redis().await);
    let foreign = [Uuid::now_v7().to_string(), "not-a-uuid".to_owned()];
    let jobs: Vec<_> =
        foreign.iter().map(|id| BrokerJob { id, key: "", payload: br#"{"to":"a@b.example"}"# }).collect();
    mail.push_fairly(&mut redis, 5, &jobs).await.unwrap();
    let ids = test.enqueue(&Effect::many(100), &Options::default()).await;
    test.queue.cancel_jobs(&ids).await.unwrap();
    let sweeper = sweep(&test.queue);
    // A round has gone through both queues when what was cancelled later is gone as well.
    for _ in 0..2 {
        until("the others to go", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 0) }).await;
        let ids = test.enqueue(&Effect::many(10), &Options::default()).await;
        test.queue.cancel_jobs(&ids).await.unwrap();
    }
    sweeper.stop().await;
    assert_eq!(mail.known(&mut redis, &foreign).await.unwrap(), [true, true]);
}
