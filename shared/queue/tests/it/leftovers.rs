//! What nobody is to do any more leaves Redis, with no worker there to take it.

use gristmill_queue::{
    Context, GroupPolicy, Job, JobError, JobFilter, NewGroup, Options, Worker,
    redis::{Broker, BrokerJob},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{Bench, Effect, Join, LONG, bench, effect, join, sweep, until, work};

/// Runs until it is told to stop.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Endless;

impl Job for Endless {
    const NAME: &'static str = "endless";
}

async fn endless(ctx: Context, _: Endless) -> Result<(), JobError> {
    ctx.progress(0, 1);
    ctx.cancel.cancelled().await;
    Err(JobError::Cancelled)
}

fn of(key: &str, priority: u8) -> Options {
    Options { fair_key: Some(key.into()), priority: Some(priority), ..Options::default() }
}

fn one_slot(bench: &Bench) -> Worker {
    Worker::builder(&bench.queue)
        .queue("default", 1)
        .register::<Endless>(endless)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build()
}

async fn running(bench: &Bench, id: Uuid) {
    until("the job to run", LONG, || async { bench.queue.progress(id).await.unwrap().is_some() }).await;
}

/// Keys that stay for longer than a minute, but for the sign that Redis has its data.
async fn lasting(bench: &Bench) -> Vec<String> {
    let mut lasting = Vec::new();
    for key in bench.keys().await {
        let seconds: i64 = redis::cmd("TTL").arg(&key).query_async(&mut bench.redis().await).await.unwrap();
        if seconds == -1 && !key.ends_with(":epoch") {
            lasting.push(key);
        }
    }
    lasting
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_leaves_redis_without_a_worker_and_what_runs_stays() {
    let bench = bench().await;
    let mut group = bench.pool.acquire().await.unwrap();
    let stopped = bench.queue.create_group(&mut group, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
    let first = bench.enqueue(&Effect::many(9_000), &of("a", 5)).await;
    let runs = bench.enqueue(&[Endless], &of("a", 0)).await[0];
    bench.enqueue(&Effect::many(6_000), &Options { group: Some(stopped), ..of("b", 5) }).await;
    for client in 0..50 {
        bench.enqueue(&Effect::many(100), &of(&format!("c{client}"), 9)).await;
    }
    // Its one slot is taken by what runs.
    let worker = work(&one_slot(&bench));
    running(&bench, runs).await;
    assert_eq!(bench.queue.broker_depth("default").await.unwrap(), (20_000, 1));
    // One waits after a failure.
    let broker = |what: &str| format!("{{{}/2:default}}:{what}", bench.stack.namespace);
    let (id, mut redis) = (first[4_000].to_string(), bench.redis().await);
    let () = redis::cmd("LREM").arg(broker("ready:5:a")).arg(1).arg(&id).query_async(&mut redis).await.unwrap();
    let () = redis::cmd("ZADD").arg(broker("delayed")).arg(4e12).arg(&id).query_async(&mut redis).await.unwrap();

    // By a filter, with their group, and with their rows.
    let filter = JobFilter { name: Some("effect".into()), ..JobFilter::default() };
    bench.queue.cancel_group(&mut group, stopped).await.unwrap();
    drop(group);
    sqlx::query("delete from jobs where priority = 9").execute(&bench.pool).await.unwrap();
    assert_eq!(bench.queue.jobs().cancel(&filter).await.unwrap().changed, 9_000);
    let sweeper = sweep(&bench.queue);
    until("only what runs", LONG, || async { bench.queue.broker_depth("default").await.unwrap() == (0, 1) }).await;
    assert_eq!(bench.state(runs).await.0, "available");
    until("no lines", LONG, || async { !bench.keys().await.iter().any(|key| key.contains(":ready:")) }).await;

    assert_eq!(bench.queue.cancel_jobs(&[runs]).await.unwrap().requested, 1);
    until("its end", LONG, || async { bench.state(runs).await.0 == "cancelled" }).await;
    worker.stop().await;
    until("an empty Redis", LONG, || async { lasting(&bench).await.is_empty() }).await;
    sweeper.stop().await;
    assert_eq!(bench.effects().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_held_leaves_too() {
    let bench = bench().await;
    bench.queue.queues().set_limits("default", &limits()).await.unwrap();
    let mut ids = bench.enqueue(&[Endless], &of("a", 0)).await;
    let worker = work(&one_slot(&bench));
    running(&bench, ids[0]).await;
    ids.extend(bench.enqueue(&Effect::many(10), &of("a", 5)).await);
    // As if it was killed.
    drop(worker);
    let sweeper = sweep(&bench.queue);
    bench.queue.cancel_jobs(&ids).await.unwrap();
    until("an empty queue", LONG * 2, || async {
        let left = lasting(&bench).await;
        !left.iter().any(|key| key.contains(":default}") && !key.ends_with(":limits"))
    })
    .await;
    assert_eq!(bench.count("select count(*) from jobs where state = 'cancelled'").await, 11);
    sweeper.stop().await;
}

fn limits() -> gristmill_queue::redis::Limits {
    gristmill_queue::redis::Limits { key_concurrency: Some(1), concurrency: Some(5), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_run_again_meanwhile_is_not_lost() {
    let bench = bench().await;
    let sweeper = sweep(&bench.queue);
    let ids = bench.enqueue(&Effect::many(600), &of("a", 5)).await;
    for _ in 0..8 {
        bench.queue.cancel_jobs(&ids).await.unwrap();
        let mut tx = bench.pool.begin().await.unwrap();
        let again = bench.queue.redrive(&mut tx, &ids).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(again.ids().len(), 600);
        bench.queue.push(again).await;
    }
    let worker = work(&bench.effect_worker(8));
    until("all of them", LONG, || async { bench.effects().await == (600, 600) }).await;
    worker.stop().await;
    until("an empty Redis", LONG, || async { lasting(&bench).await.is_empty() }).await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_never_had_is_left_alone() {
    let bench = bench().await;
    let (mail, mut redis) = (Broker::new(&bench.stack.namespace, "mail"), bench.redis().await);
    let foreign = [Uuid::now_v7().to_string(), "not-a-uuid".to_owned()];
    let jobs: Vec<_> =
        foreign.iter().map(|id| BrokerJob { id, key: "", payload: br#"{"to":"a@b.example"}"# }).collect();
    mail.push_fairly(&mut redis, 5, &jobs).await.unwrap();
    let ids = bench.enqueue(&Effect::many(100), &Options::default()).await;
    bench.queue.cancel_jobs(&ids).await.unwrap();
    let sweeper = sweep(&bench.queue);
    // A round has gone through both queues when what was cancelled later is gone as well.
    for _ in 0..2 {
        until("the others to go", LONG, || async { bench.queue.broker_depth("default").await.unwrap() == (0, 0) })
            .await;
        let ids = bench.enqueue(&Effect::many(10), &Options::default()).await;
        bench.queue.cancel_jobs(&ids).await.unwrap();
    }
    sweeper.stop().await;
    assert_eq!(mail.known(&mut redis, &foreign).await.unwrap(), [true, true]);
}
