//! Paused, resumed, drained; and how queues are seen.

use std::time::Duration;

use gristmill_platform::testing;
use gristmill_queue::{Limits, Options, Sweeper};

use crate::support::{Bench, Effect, LONG, bench, on, sweep, until, work};

fn slow(n: i64) -> Vec<Effect> {
    (0..n).map(|n| Effect { n, millis: 20 }).collect()
}

async fn running(bench: &Bench) -> i64 {
    bench.effects().await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_takes_effect_everywhere() {
    let bench = bench().await;
    bench.enqueue(&slow(4_000), &Options::default()).await;
    let workers = [work(&bench.effect_worker(4)), work(&bench.effect_worker(4))];
    until("the first jobs", LONG, || async { running(&bench).await > 20 }).await;
    let view = bench.queue.queues().pause("default").await.unwrap();
    assert!(view.paused);
    until("nothing to run", LONG, || async { bench.queue.broker_depth("default").await.unwrap().1 == 0 }).await;
    let (paused_at, (waiting, _)) = (running(&bench).await, bench.queue.broker_depth("default").await.unwrap());
    assert!(waiting > 0, "it was paused too late");
    bench.enqueue(&Effect::many(10), &Options::default()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(running(&bench).await, paused_at);
    bench.queue.queues().resume("default").await.unwrap();
    until("the work to go on", LONG, || async { running(&bench).await > paused_at }).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_and_limits_survive_the_loss_of_redis() {
    let engines = testing::engines().await;
    let bench = on(testing::stack_on(&engines).await).await;
    let limits = Limits { concurrency: Some(3), rate_per_second: Some(100.0), ..Limits::default() };
    bench.queue.queues().set_limits("default", &limits).await.unwrap();
    bench.queue.queues().pause("default").await.unwrap();
    bench.enqueue(&slow(50), &Options::default()).await;
    let () = redis::cmd("FLUSHALL").query_async(&mut bench.redis().await).await.unwrap();
    assert_eq!(Sweeper::new(&bench.queue).sweep().await.unwrap().healed, 50);
    let worker = work(&bench.effect_worker(8));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.effects().await, (0, 0), "it forgot that it is paused");
    bench.queue.queues().resume("default").await.unwrap();
    let mut most = 0;
    until("all jobs", LONG, || {
        let bench = &bench;
        async move { bench.effects().await == (50, 50) }
    })
    .await;
    worker.stop().await;
    bench.enqueue(&slow(30), &Options::default()).await;
    let worker = work(&bench.effect_worker(8));
    while bench.effects().await.0 < 80 {
        most = most.max(bench.queue.broker_depth("default").await.unwrap().1);
    }
    assert!((1..=3).contains(&most), "{most} ran at a time");
    assert_eq!(bench.queue.queues().get("default").await.unwrap().limits, limits);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_runs_what_is_there_and_pauses() {
    let bench = bench().await;
    let sweeper = sweep(&bench.queue);
    bench.enqueue(&slow(40), &Options::default()).await;
    assert!(bench.queue.queues().drain("default").await.unwrap().draining);
    let worker = work(&bench.effect_worker(4));
    until("the pause", LONG, || async { bench.queue.queues().get("default").await.unwrap().paused }).await;
    assert_eq!(bench.effects().await, (40, 40));
    // The ledger knows it first.
    let told = || async {
        let limits = format!("{{{}/2:default}}:limits", bench.stack.namespace);
        redis::cmd("HEXISTS").arg(limits).arg("paused").query_async(&mut bench.redis().await).await.unwrap()
    };
    until("the broker to know it", LONG, told).await;
    let id = bench.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.state(id).await.0, "available");
    bench.queue.queues().resume("default").await.unwrap();
    until("the last one", LONG, || async { bench.effects().await == (41, 41) }).await;
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_seen_as_they_stand() {
    let bench = bench().await;
    let unknown = bench.queue.queues().get("nowhere").await.unwrap();
    assert_eq!((unknown.available, unknown.running, unknown.seconds_left), (0, Some(0), Some(0.0)));
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    bench.enqueue(&Effect::many(2), &Options { run_at: Some(later), ..Options::default() }).await;
    bench.enqueue(&Effect::many(30), &Options::default()).await;
    let view = bench.queue.queues().get("default").await.unwrap();
    assert_eq!((view.available, view.scheduled, view.running, view.slots), (30, 2, Some(0), 0));
    assert_eq!((view.acked_per_second, view.seconds_left), (Some(0.0), Some(f64::INFINITY)));
    assert!(serde_json::to_string(&view).unwrap().contains(r#""seconds_left":"endless""#));

    let worker = work(&bench.effect_worker(4));
    until("the jobs", LONG, || async { bench.effects().await == (30, 30) }).await;
    bench.enqueue(&[Effect { n: 1, millis: 60_000 }], &Options::default()).await;
    until("a running job, and the worker's first word", LONG, || async {
        let view = bench.queue.queues().get("default").await.unwrap();
        view.running == Some(1) && view.slots == 4
    })
    .await;
    let view = bench.queue.queues().list().await.unwrap().remove(0);
    assert_eq!((view.name.as_str(), view.available, view.running, view.slots), ("default", 0, Some(1), 4));
    let (rate, left) = (view.acked_per_second.unwrap(), view.seconds_left.unwrap());
    assert!(rate > 0.2 && (left - 1.0 / rate).abs() < 1e-6, "{view:?}");
    let json = serde_json::to_value(&view).unwrap();
    let read: gristmill_queue::QueueView = serde_json::from_value(json.clone()).unwrap();
    assert_eq!((read.name.as_str(), read.running, json["slots"].as_u64()), ("default", Some(1), Some(4)));
    drop(worker);
}
