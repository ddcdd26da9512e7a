//! A backlog that is longer than what Redis holds of a queue.

use std::sync::{Arc, Mutex};

use gristmill_queue::{Context, Job, Options, Queue, QueueConfig, Worker};
use serde::{Deserialize, Serialize};

use crate::support::{Effect, LONG, TestQueue, config, once, sweep, test_queue, until, work};

const WINDOW: u64 = 50;

/// A queue of a small window on the test queue's engines.
async fn small(test: TestQueue) -> TestQueue {
    let config = QueueConfig { window: WINDOW, ..config(&test.stack) };
    TestQueue { queue: Queue::connect(test.pool.clone(), config).await.unwrap(), ..test }
}

fn of(key: &str) -> Options {
    Options { fair_key: Some(key.into()), ..Options::default() }
}

async fn outside(test: &TestQueue) -> i64 {
    test.count("select count(*) from gristmill.waiting_room").await
}

async fn inside(test: &TestQueue) -> u64 {
    let (waiting, running) = test.queue.broker_depth("default").await.unwrap();
    waiting + running
}

/// A worker of one slot that notes what it runs.
fn noting(test: &TestQueue) -> (Worker, Arc<Mutex<Vec<i64>>>) {
    let ran = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ran);
    let body = move |ctx: Context, job: Effect| {
        seen.lock().unwrap().push(job.n);
        async move { once(&ctx, job.n).await }
    };
    (Worker::builder(&test.queue).queue("default", 1).register::<Effect>(body).build(), ran)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_comes_in_bit_by_bit_and_in_order() {
    let test = small(test_queue().await).await;
    test.enqueue(&Effect::many(400), &Options::default()).await;
    assert_eq!((inside(&test).await, outside(&test).await), (WINDOW, 350));
    let (worker, ran) = noting(&test);
    let sweeper = sweep(&test.queue);
    let worker = work(&worker);
    until("some to be done", LONG, || async { test.effects().await.0 > 60 }).await;
    // What comes later does not overtake what waits outside.
    let late: Vec<Effect> = (400..420).map(Effect::new).collect();
    test.enqueue(&late, &Options::default()).await;
    assert!(inside(&test).await <= WINDOW);
    until("all", LONG * 2, || async { test.effects().await == (420, 420) }).await;
    assert_eq!(*ran.lock().unwrap(), (0..420).collect::<Vec<_>>());
    until("no trace of it", LONG, || async {
        let keys = test.keys().await;
        outside(&test).await == 0 && !keys.iter().any(|key| key.ends_with(":outside"))
    })
    .await;
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_window_hides_no_other_clients_job_and_no_urgent_one() {
    let test = small(test_queue().await).await;
    test.enqueue(&Effect::many(1_000), &of("large")).await;
    let small: Vec<Effect> = (5_000..5_005).map(Effect::new).collect();
    test.enqueue(&small, &of("small")).await;
    let urgent = Options { priority: Some(0), ..of("large") };
    test.enqueue(&[Effect::new(9_000)], &urgent).await;
    // Longer than its share: the rest waits for its own turn, not behind the large one.
    let middle: Vec<Effect> = (7_000..7_100).map(Effect::new).collect();
    test.enqueue(&middle, &of("middle")).await;
    assert!(inside(&test).await < WINDOW + 60, "{}", inside(&test).await);
    let (worker, ran) = noting(&test);
    let (worker, sweeper) = (work(&worker), sweep(&test.queue));
    until("the smaller ones", LONG * 2, || async {
        let ran = ran.lock().unwrap();
        (7_000..7_100).all(|n| ran.contains(&n))
    })
    .await;
    let ran = ran.lock().unwrap().clone();
    let at = |n| ran.iter().position(|ran| *ran == n).unwrap();
    assert!(at(9_000) < 3, "{ran:?}");
    assert!((5_000..5_005).all(|n| at(n) < 30), "{ran:?}");
    let large = ran.iter().filter(|n| **n < 1_000).count();
    assert!(large < 600, "{large} of the large one ran before the last of the middle one");
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgets_is_filled_again_no_further() {
    let test = small(test_queue().await).await;
    test.enqueue(&Effect::many(300), &Options::default()).await;
    test.forget_jobs().await;
    // Nobody pushed or wrote down these.
    test.enqueue_and_die(&Effect::many(100)).await;
    let sweeper = sweep(&test.queue);
    until("all to be somewhere", LONG, || async { outside(&test).await + inside(&test).await.cast_signed() == 400 })
        .await;
    assert!(inside(&test).await <= WINDOW);
    let (worker, _) = noting(&test);
    let worker = work(&worker);
    until("all", LONG * 2, || async { test.effects().await == (400, 400) }).await;
    until("an empty room", LONG, || async { outside(&test).await == 0 }).await;
    worker.stop().await;
    sweeper.stop().await;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Other;

impl Job for Other {
    const NAME: &'static str = "other";
    const QUEUE: &'static str = "other";
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_outside_leaves_it() {
    let test = small(test_queue().await).await;
    test.enqueue(&vec![Other; 120], &Options::default()).await;
    sqlx::query("update gristmill.jobs set state = 'cancelled', finished_at = now()")
        .execute(&test.pool)
        .await
        .unwrap();
    test.enqueue(&[Other], &Options::default()).await;
    let body = |ctx: Context, _: Other| async move { once(&ctx, 1).await };
    let worker = Worker::builder(&test.queue).queue("other", 4).register::<Other>(body).build();
    let (worker, sweeper) = (work(&worker), sweep(&test.queue));
    until("the last one", LONG, || async { test.effects().await == (1, 1) }).await;
    until("an empty room", LONG, || async { outside(&test).await == 0 }).await;
    worker.stop().await;
    sweeper.stop().await;
}
