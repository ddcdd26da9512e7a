//! Paused, resumed, drained; and how queues are seen.

use std::time::{Duration, Instant};

use gristmill_platform::testing;
use gristmill_queue::{Limits, Options, QueueView, Sweeper};

use crate::support::{Effect, LONG, TestQueue, on, sweep, test_queue, until, work};

fn slow(n: i64) -> Vec<Effect> {
    (0..n).map(|n| Effect { n, millis: 20 }).collect()
}

async fn running(test: &TestQueue) -> i64 {
    test.effects().await.0
}

/// A view that the broker had its word in: it is not waited for long.
async fn seen(look: impl AsyncFn() -> QueueView) -> QueueView {
    let started = Instant::now();
    loop {
        let view = look().await;
        if view.running.is_some() || started.elapsed() > LONG {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_takes_effect_everywhere() {
    let test = test_queue().await;
    test.enqueue(&slow(4_000), &Options::default()).await;
    // It tells the broker what that did not hear at once.
    let sweeper = sweep(&test.queue);
    let workers = [work(&test.effect_worker(4)), work(&test.effect_worker(4))];
    until("the first jobs", LONG, || async { running(&test).await > 20 }).await;
    let view = test.queue.queues().pause("default").await.unwrap();
    assert!(view.paused);
    until("the broker to know it", LONG, || test.is_told_to_pause("default")).await;
    until("nothing to run", LONG, || async { test.queue.broker_depth("default").await.unwrap().1 == 0 }).await;
    let (paused_at, (waiting, _)) = (running(&test).await, test.queue.broker_depth("default").await.unwrap());
    assert!(waiting > 0, "it was paused too late");
    test.enqueue(&Effect::many(10), &Options::default()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(running(&test).await, paused_at);
    test.queue.queues().resume("default").await.unwrap();
    until("the work to go on", LONG, || async { running(&test).await > paused_at }).await;
    for worker in workers {
        worker.stop().await;
    }
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_and_limits_survive_a_loss_of_the_broker() {
    let engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let limits = Limits { concurrency: Some(3), rate_per_second: Some(100.0), ..Limits::default() };
    test.queue.queues().set_limits("default", &limits).await.unwrap();
    test.queue.queues().pause("default").await.unwrap();
    test.enqueue(&slow(50), &Options::default()).await;
    test.forget_jobs().await;
    assert_eq!(Sweeper::new(&test.queue).sweep().await.unwrap().healed, 50);
    let worker = work(&test.effect_worker(8));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(test.effects().await, (0, 0), "it forgot that it is paused");
    test.queue.queues().resume("default").await.unwrap();
    let mut most = 0;
    until("all jobs", LONG, || {
        let test = &test;
        async move { test.effects().await == (50, 50) }
    })
    .await;
    worker.stop().await;
    test.enqueue(&slow(30), &Options::default()).await;
    let worker = work(&test.effect_worker(8));
    while test.effects().await.0 < 80 {
        most = most.max(test.queue.broker_depth("default").await.unwrap().1);
    }
    assert!((1..=3).contains(&most), "{most} ran at a time");
    assert_eq!(test.queue.queues().get("default").await.unwrap().limits, limits);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_runs_what_is_there_and_pauses() {
    let test = test_queue().await;
    let sweeper = sweep(&test.queue);
    test.enqueue(&slow(40), &Options::default()).await;
    assert!(test.queue.queues().drain("default").await.unwrap().draining);
    let worker = work(&test.effect_worker(4));
    until("the pause", LONG, || async { test.queue.queues().get("default").await.unwrap().paused }).await;
    assert_eq!(test.effects().await, (40, 40));
    // The ledger knows it first.
    until("the broker to know it", LONG, || test.is_told_to_pause("default")).await;
    let id = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(test.state(id).await.0, "available");
    test.queue.queues().resume("default").await.unwrap();
    until("the last one", LONG, || async { test.effects().await == (41, 41) }).await;
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_seen_as_they_stand() {
    let test = test_queue().await;
    let get = async |name: &str| test.queue.queues().get(name).await.unwrap();
    let unknown = seen(async || get("nowhere").await).await;
    assert_eq!((unknown.available, unknown.running, unknown.seconds_left), (0, Some(0), Some(0.0)));
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    test.enqueue(&Effect::many(2), &Options { run_at: Some(later), ..Options::default() }).await;
    test.enqueue(&Effect::many(30), &Options::default()).await;
    let view = seen(async || get("default").await).await;
    assert_eq!((view.available, view.scheduled, view.running, view.slots), (30, 2, Some(0), 0));
    assert_eq!((view.acked_per_second, view.seconds_left), (Some(0.0), Some(f64::INFINITY)));
    assert!(serde_json::to_string(&view).unwrap().contains(r#""seconds_left":"endless""#));

    let worker = work(&test.effect_worker(4));
    until("the jobs", LONG, || async { test.effects().await == (30, 30) }).await;
    test.enqueue(&[Effect { n: 1, millis: 60_000 }], &Options::default()).await;
    until("a running job, and the worker's first word", LONG, || async {
        let view = get("default").await;
        view.running == Some(1) && view.slots == 4
    })
    .await;
    let view = seen(async || test.queue.queues().list().await.unwrap().remove(0)).await;
    assert_eq!((view.name.as_str(), view.available, view.running, view.slots), ("default", 0, Some(1), 4));
    let (rate, left) = (view.acked_per_second.unwrap(), view.seconds_left.unwrap());
    assert!(rate > 0.2 && (left - 1.0 / rate).abs() < 1e-6, "{view:?}");
    let json = serde_json::to_value(&view).unwrap();
    let read: QueueView = serde_json::from_value(json.clone()).unwrap();
    assert_eq!((read.name.as_str(), read.running, json["slots"].as_u64()), ("default", Some(1), Some(4)));
    drop(worker);
}
