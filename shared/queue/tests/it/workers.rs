//! Who works on what, and is told to go.

use std::time::Duration;

use gristmill_queue::{Job, JobError, Options, Queue, QueueConfig, Sweeper, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::support::{Effect, LONG, config, effect, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Long;

impl Job for Long {
    const NAME: &'static str = "long";
    const QUEUE: &'static str = "slow";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_one_entry_that_says_what_it_runs() {
    let test = test_queue().await;
    let id = test.enqueue(&[Long], &Options::default()).await[0];
    let worker = Worker::builder(&test.queue)
        .label("big")
        .queue("default", 3)
        .queue("slow", 2)
        .register::<Effect>(effect)
        .register::<Long>(|_, _| std::future::pending::<Result<(), JobError>>())
        .build();
    assert_eq!(worker.health().unhealthy_reason(), None);
    let running = work(&worker);
    until("both lines, and the job", LONG, || async {
        let seen = test.queue.workers().await.unwrap();
        // The worker has the job before it has read its name.
        seen.iter().any(|worker| {
            worker.lines.len() == 2 && worker.lines[1].held == 1 && worker.lines[1].running[0].name.is_some()
        })
    })
    .await;
    let seen = test.queue.workers().await.unwrap();
    assert_eq!(seen.len(), 1);
    let (worker, line) = (&seen[0], &seen[0].lines[1]);
    assert_eq!((worker.label.as_str(), worker.pid, worker.draining), ("big", std::process::id(), false));
    assert_eq!((line.queue.as_str(), line.concurrency), ("slow", 2));
    assert_eq!((line.running[0].id.as_str(), line.running[0].delivery), (id.to_string().as_str(), 1));
    assert_eq!(line.running[0].name.as_deref(), Some("long"));
    assert!(line.running[0].since_ms > 1_600_000_000_000);
    assert!(line.lease_age_ms < 10_000);
    if cfg!(target_os = "linux") {
        assert!(worker.memory_bytes.unwrap() > 1_000_000 && worker.host.is_some());
        until("its use of the processor", LONG, || async { test.queue.workers().await.unwrap()[0].cpu.is_some() })
            .await;
    }
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_drains_and_another_one_goes_on() {
    let test = test_queue().await;
    let first = work(&test.effect_worker(4));
    until("its first word", LONG, || async { test.queue.workers().await.unwrap().len() == 1 }).await;
    let id = test.queue.workers().await.unwrap()[0].id;
    let long = test.enqueue(&[Effect { n: 0, millis: 4_000 }], &Options::default()).await[0];
    until("the long job to run", LONG, || async { test.queue.broker_depth("default").await.unwrap().1 == 1 }).await;
    assert!(test.queue.drain_worker(id).await.unwrap());
    assert!(!test.queue.drain_worker(uuid::Uuid::new_v4()).await.unwrap());
    until("it to drain", LONG, || async { test.queue.workers().await.unwrap()[0].draining }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let waits = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    until("the long job", LONG, || async { test.state(long).await.0 == "completed" }).await;
    assert_eq!(test.state(waits).await.0, "available", "a draining worker took a job");
    let second = work(&test.effect_worker(4));
    until("the other job", LONG, || async { test.state(waits).await.0 == "completed" }).await;
    first.stop().await;
    second.stop().await;
    until("nobody", LONG, || async { test.queue.workers().await.unwrap().is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_ended_is_listed_no_more() {
    let test = test_queue().await;
    let worker = test.effect_worker(1);
    let mut late = 0;
    for _ in 0..20 {
        let running = work(&worker);
        until("its first word", LONG, || async { test.queue.workers().await.unwrap().len() == 1 }).await;
        running.stop().await;
        if !test.queue.workers().await.unwrap().is_empty() {
            late += 1;
            until("its entry to expire", LONG, || async { test.queue.workers().await.unwrap().is_empty() }).await;
        }
    }
    // A worker waits for a second until its farewell is heard, which may be too short on a busy machine.
    assert!(late <= 1, "{late} of 20 were listed after their end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_the_broker_was_not_told_of_is_told_by_the_sweep() {
    let test = test_queue().await;
    let worker = work(&test.effect_worker(1));
    until("its first word", LONG, || async { test.queue.workers().await.unwrap().len() == 1 }).await;
    let id = test.queue.workers().await.unwrap()[0].id;
    // Who asked died after his commit.
    let mut conn = test.stack.pool.acquire().await.unwrap();
    assert!(test.queue.drain_worker_in(&mut conn, id).await.unwrap());
    assert!(!test.queue.workers().await.unwrap()[0].draining);
    Sweeper::new(&test.queue).sweep().await.unwrap();
    until("it to drain", LONG, || async { test.queue.workers().await.unwrap()[0].draining }).await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from gristmill.worker_drains").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(left, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_told_to_stop_says_so_while_it_finishes() {
    let test = test_queue().await;
    let stop = CancellationToken::new();
    let patient = QueueConfig { grace: LONG, ..config(&test.stack) };
    let queue = Queue::connect(test.pool.clone(), patient).await.unwrap();
    let worker = Worker::builder(&queue)
        .queue("slow", 1)
        .register::<Long>(|_, _| std::future::pending::<Result<(), JobError>>())
        .build();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let _long = test.enqueue(&[Long], &Options::default()).await;
    until("the job to run", LONG, || async { test.queue.broker_depth("slow").await.unwrap().1 == 1 }).await;
    until("its first word", LONG, || async { test.queue.workers().await.unwrap().len() == 1 }).await;
    assert!(!test.queue.workers().await.unwrap()[0].draining);
    stop.cancel();
    until("it to say so", LONG, || async {
        test.queue.workers().await.unwrap().iter().any(|worker| worker.draining && worker.lines[0].held == 1)
    })
    .await;
    running.abort();
}
