//! Whose turn it is.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill_queue::{Context, Job, Options, Worker};
use serde::{Deserialize, Serialize};

use crate::support::{LONG, TestQueue, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Turn {
    of: String,
    millis: u64,
}

impl Job for Turn {
    const NAME: &'static str = "turn";
}

fn turns(of: &str, jobs: usize, millis: u64) -> Vec<Turn> {
    vec![Turn { of: of.into(), millis }; jobs]
}

fn key(key: &str) -> Options {
    Options { fair_key: Some(key.into()), ..Options::default() }
}

/// Whose jobs started, in that order.
type Starts = Arc<Mutex<Vec<String>>>;

fn worker(test: &TestQueue, concurrency: usize, starts: &Starts) -> Worker {
    let starts = Arc::clone(starts);
    let body = move |_: Context, job: Turn| {
        starts.lock().unwrap().push(job.of);
        async move {
            tokio::time::sleep(Duration::from_millis(job.millis)).await;
            Ok(())
        }
    };
    Worker::builder(&test.queue).queue("default", concurrency).register::<Turn>(body).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_client_does_not_delay_another() {
    let (test, starts) = (test_queue().await, Starts::default());
    for _ in 0..10 {
        test.enqueue(&turns("a", 2_000, 5), &Options { client_id: Some(1.into()), ..Options::default() }).await;
    }
    let workers = [work(&worker(&test, 8, &starts)), work(&worker(&test, 8, &starts))];
    until("the first jobs of a", LONG, || async { starts.lock().unwrap().len() > 200 }).await;
    test.enqueue(&turns("b", 1, 5), &Options { client_id: Some(2.into()), ..Options::default() }).await;
    let enqueued = starts.lock().unwrap().len();
    let b = || starts.lock().unwrap().iter().position(|of| of == "b");
    until("the start of b", LONG, || async { b().is_some() }).await;
    let waited = b().unwrap().saturating_sub(enqueued);
    let (waiting, _) = test.queue.broker_depth("default").await.unwrap();
    assert!(waiting > 1_000, "only {waiting} jobs of a are left: nothing was shown");
    // What the workers had claimed already, and one turn of each of them.
    assert!(waited <= 64, "{waited} jobs of a went before");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_take_turns_and_leave_nothing_behind() {
    let (test, starts) = (test_queue().await, Starts::default());
    for of in ["a", "b:{x}", "c", "", "é"] {
        test.enqueue(&turns(of, 200, 0), &key(of)).await;
    }
    let worker = work(&worker(&test, 1, &starts));
    until("all jobs", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 0) }).await;
    worker.stop().await;
    let starts = starts.lock().unwrap().clone();
    assert_eq!(starts.len(), 1_000);
    for (n, round) in starts.chunks(50).enumerate() {
        for of in ["a", "b:{x}", "c", "", "é"] {
            let count = round.iter().filter(|start| *start == of).count();
            assert!((8..=12).contains(&count), "{count} of 50 starts were of `{of}` in round {n}");
        }
    }
    until("an empty broker", LONG, || async {
        test.keys().await.iter().all(|key| key.ends_with(":wake") || key.ends_with(":acked"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_urgent_job_does_not_starve() {
    let (test, starts) = (test_queue().await, Starts::default());
    for client in 0..10 {
        let urgent = Options { priority: Some(0), client_id: Some(client.into()), ..Options::default() };
        test.enqueue(&turns("urgent", 500, 1), &urgent).await;
    }
    test.enqueue(&turns("idle", 1, 1), &Options { priority: Some(9), ..key("idle") }).await;
    let worker = work(&worker(&test, 4, &starts));
    let before = || starts.lock().unwrap().iter().position(|of| of == "idle");
    until("the idle job", LONG, || async { before().is_some() }).await;
    worker.stop().await;
    assert!(before().unwrap() < 500, "{} urgent jobs went before", before().unwrap());
}
