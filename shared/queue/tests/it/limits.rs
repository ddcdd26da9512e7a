//! How many jobs run at a time, and how many start a second, over all workers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gristmill_queue::{Context, Job, Limits, LimitsError, Options, Queue, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::support::{LONG, TestQueue, config, sweep, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    key: String,
    millis: u64,
}

impl Job for Held {
    const NAME: &'static str = "held";
}

/// What was seen to run at a time, in all workers of a test.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: HashMap<String, usize>,
    most: usize,
    most_of_a_key: usize,
    starts: Vec<Instant>,
}

impl Seen {
    fn worker(&self, queue: &Queue, concurrency: usize) -> Worker {
        let seen = self.clone();
        let body = move |_: Context, job: Held| {
            let seen = seen.clone();
            async move {
                seen.start(&job.key);
                tokio::time::sleep(Duration::from_millis(job.millis)).await;
                *seen.0.lock().unwrap().running.get_mut(&job.key).unwrap() -= 1;
                Ok(())
            }
        };
        Worker::builder(queue).queue("default", concurrency).register::<Held>(body).build()
    }

    fn start(&self, key: &str) {
        let mut state = self.0.lock().unwrap();
        let running = state.running.entry(key.into()).or_default();
        *running += 1;
        let of_key = *running;
        let all = state.running.values().sum();
        state.most = state.most.max(all);
        state.most_of_a_key = state.most_of_a_key.max(of_key);
        state.starts.push(Instant::now());
    }
}

async fn enqueue(test: &TestQueue, key: &str, jobs: usize, millis: u64) {
    let options = Options { fair_key: Some(key.into()), ..Options::default() };
    test.enqueue(&vec![Held { key: key.into(), millis }; jobs], &options).await;
}

async fn limit(test: &TestQueue, limits: Limits) {
    test.queue.queues().set_limits("default", &limits).await.unwrap();
}

async fn done(test: &TestQueue, jobs: i64) {
    until("all jobs", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state = 'completed'").await == jobs
    })
    .await;
    test.acknowledged().await;
}

/// What stays for as long as it is said: the limits. And what says whose the broker is, and that it has its data.
async fn only_limits_are_left(test: &TestQueue) {
    until("nothing but the limits", LONG, || async {
        test.keys().await.iter().all(|key| {
            let stays = [":wake", ":acked", ":rate_bucket", ":limits", ":ledger", ":epoch"];
            stays.iter().any(|name| key.ends_with(name))
        })
    })
    .await;
}

/// Lifts the limits, and waits until the broker knows: what it did not hear at once the sweep tells it.
async fn lift(test: &TestQueue) {
    limit(test, Limits::default()).await;
    let sweeper = sweep(&test.queue);
    until("no limits", LONG, || async { !test.keys().await.iter().any(|key| key.ends_with(":limits")) }).await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_run_at_a_time_as_may_over_all_workers() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, Limits { concurrency: Some(5), ..Limits::default() }).await;
    enqueue(&test, "", 150, 15).await;
    enqueue(&test, "a", 150, 15).await;
    let workers: Vec<_> = (0..3).map(|_| work(&seen.worker(&test.queue, 8))).collect();
    done(&test, 300).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(seen.0.lock().unwrap().most, 5);
    only_limits_are_left(&test).await;
    lift(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_by_key_leaves_the_others_their_slots() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, Limits { key_concurrency: Some(2), ..Limits::default() }).await;
    for key in ["a", "b", "c"] {
        enqueue(&test, key, 60, 15).await;
    }
    let workers: Vec<_> = (0..3).map(|_| work(&seen.worker(&test.queue, 8))).collect();
    done(&test, 180).await;
    {
        let state = seen.0.lock().unwrap();
        assert_eq!(state.most_of_a_key, 2);
        assert!(state.most > 2, "no two keys ran at a time");
    }
    // Without it, the same queue gives a key all that there is.
    lift(&test).await;
    enqueue(&test, "a", 60, 15).await;
    done(&test, 240).await;
    assert!(seen.0.lock().unwrap().most_of_a_key > 2);
    for worker in workers {
        worker.stop().await;
    }
    only_limits_are_left(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_start_a_second_than_may() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, Limits { rate_per_second: Some(40.0), burst: Some(10), ..Limits::default() }).await;
    enqueue(&test, "", 130, 0).await;
    let workers: Vec<_> = (0..3).map(|_| work(&seen.worker(&test.queue, 8))).collect();
    done(&test, 130).await;
    for worker in workers {
        worker.stop().await;
    }
    let starts = seen.0.lock().unwrap().starts.clone();
    let took = (starts[129] - starts[0]).as_secs_f64();
    println!("130 starts at 40/s with a burst of 10 took {took:.2} s");
    // (130 - 10) / 40 = 3 s from the first claim; the first start may be later than its claim. Without a limit they take less than
    // a second, and as long with one for each worker: (130 - 3 * 10) / (3 * 40) = 0.8 s.
    assert!(took > 1.5, "took {took} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_slots_come_back() {
    let test = test_queue().await;
    limit(&test, Limits { concurrency: Some(2), key_concurrency: Some(1), ..Limits::default() }).await;
    enqueue(&test, "a", 1, 0).await;
    enqueue(&test, "b", 1, 0).await;
    let (url, config) = (test.stack.database_url.clone(), config(&test.stack));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move {
        let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
        let body = |_: Context, _: Held| std::future::pending();
        let worker = Worker::builder(&queue).queue("default", 4).register::<Held>(body).build();
        worker.run(Default::default()).await.unwrap();
    });
    until("both to be claimed", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 2) }).await;
    enqueue(&test, "a", 3, 0).await;
    runtime.shutdown_background();
    let seen = Seen::default();
    let worker = work(&seen.worker(&test.queue, 4));
    done(&test, 5).await;
    worker.stop().await;
    assert_eq!(seen.0.lock().unwrap().most_of_a_key, 1);
    only_limits_are_left(&test).await;
}

#[tokio::test]
async fn limits_that_hold_everything_for_ever_are_refused() {
    let test = test_queue().await;
    let unusable = [
        Limits { concurrency: Some(0), ..Limits::default() },
        Limits { key_concurrency: Some(0), ..Limits::default() },
        Limits { rate_per_second: Some(0.0), ..Limits::default() },
        Limits { rate_per_second: Some(f64::NAN), ..Limits::default() },
        Limits { burst: Some(3), ..Limits::default() },
    ];
    for limits in unusable {
        let refused = test.queue.queues().set_limits("default", &limits).await;
        assert!(matches!(refused, Err(LimitsError::Unusable { .. })), "{limits:?}: {refused:?}");
    }
    assert_eq!(test.queue.queues().list().await.unwrap(), []);
}

#[tokio::test]
async fn default_limits_hold_until_somebody_says_others_whatever_else_was_said() {
    let test = test_queue().await;
    let queues = test.queue.queues();
    let of = |places| Limits { key_concurrency: Some(places), ..Limits::default() };
    let limits = async || queues.get("default").await.unwrap().limits;
    queues.pause("default").await.unwrap();
    queues.default_limits("default", &of(2)).await.unwrap();
    assert_eq!(limits().await, of(2));
    assert!(queues.get("default").await.unwrap().paused, "a pause is no matter of limits");
    queues.default_limits("default", &of(3)).await.unwrap();
    assert_eq!(limits().await, of(2), "it has some");
    queues.set_limits("default", &Limits::default()).await.unwrap();
    queues.default_limits("default", &of(3)).await.unwrap();
    assert_eq!(limits().await, Limits::default(), "that there are none was said too");
}
