//! Workers that die, and workers that are asked to go.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill_queue::{BrokerConfig, Context, Job, JobError, Options, Queue, QueueConfig, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::broker_state::{broker, on_postgres};
use crate::support::{Effect, LONG, TestQueue, config, once, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stuck;

impl Job for Stuck {
    const NAME: &'static str = "stuck";
}

async fn hold(_: Context, _: Stuck) -> Result<(), JobError> {
    std::future::pending().await
}

async fn pass(ctx: Context, _: Stuck) -> Result<(), JobError> {
    once(&ctx, 0).await
}

/// A worker that takes what there is and never finishes it.
fn holder(queue: &Queue) -> Worker {
    Worker::builder(queue).queue("default", 4).register::<Stuck>(hold).build()
}

async fn leased(test: &TestQueue) -> u64 {
    test.queue.broker_depth("default").await.unwrap().1
}

/// Runs a worker on a runtime of its own until its body has started, then drops the runtime.
pub(crate) async fn claim_and_die(test: &TestQueue) {
    let (url, config) = (test.stack.database_url.clone(), config(&test.stack));
    let (started, mut start) = tokio::sync::mpsc::unbounded_channel();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move {
        let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
        let body = move |_: Context, _: Stuck| {
            started.send(()).unwrap();
            std::future::pending::<Result<(), JobError>>()
        };
        let worker = Worker::builder(&queue).queue("default", 4).register::<Stuck>(body).build();
        worker.run(Default::default()).await.unwrap();
    });
    tokio::time::timeout(LONG, start.recv()).await.unwrap().unwrap();
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_job_runs_elsewhere_when_its_lease_is_over() {
    let test = test_queue().await;
    test.enqueue(&[Stuck], &Options::default()).await;
    claim_and_die(&test).await;
    let other = work(&Worker::builder(&test.queue).queue("default", 4).register::<Stuck>(pass).build());
    until("the job to run elsewhere", LONG, || async { test.effects().await == (1, 1) }).await;
    other.stop().await;
}

/// Not a test: the victim of the next one.
#[tokio::test]
#[ignore = "run by a_worker_process_killed_by_the_kernel"]
#[expect(clippy::disallowed_methods, reason = "the parent test tells its child where the engines are")]
async fn victim() {
    let Ok(url) = std::env::var("VICTIM_DATABASE_URL") else { return };
    let config = QueueConfig {
        namespace: std::env::var("VICTIM_NAMESPACE").unwrap(),
        ..QueueConfig::on(BrokerConfig::from_settings(None, std::env::var("VICTIM_REDIS_URL").ok().as_deref()).unwrap())
    };
    let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
    holder(&queue).run(Default::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_process_killed_by_the_kernel() {
    let test = test_queue().await;
    let defaults = QueueConfig { namespace: test.stack.namespace.clone(), ..QueueConfig::on(broker(&test.stack)) };
    // The lease, and the moment until somebody reaps it: ten seconds are promised.
    assert!(defaults.lease <= Duration::from_secs(6), "{:?}", defaults.lease);
    let queue = Queue::connect(test.pool.clone(), defaults).await.unwrap();
    test.enqueue(&[Stuck], &Options::default()).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--include-ignored"])
        .env("VICTIM_DATABASE_URL", &test.stack.database_url)
        .env("VICTIM_REDIS_URL", if on_postgres() { "" } else { &test.stack.redis_url })
        .env("VICTIM_NAMESPACE", &test.stack.namespace)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the child to claim", LONG, || async { leased(&test).await == 1 }).await;
    let other = work(&Worker::builder(&queue).queue("default", 4).register::<Stuck>(pass).build());
    // Longer than the lease: the child renews it.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(test.effects().await, (0, 0), "a living worker keeps its job");
    child.kill().unwrap();
    child.wait().unwrap();
    until("the job to run elsewhere", LONG, || async { test.effects().await == (1, 1) }).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_its_workers_down_is_put_away() {
    let test = test_queue().await;
    let id = test.enqueue(&[Stuck], &Options::default()).await[0];
    for _ in 1..=3 {
        claim_and_die(&test).await;
    }
    let worker = work(&holder(&test.queue));
    until("the dead letter", LONG, || async { test.state(id).await.0 == "dead" }).await;
    assert_eq!(test.state(id).await.2.unwrap(), "lost_worker: 3 workers were lost with it");
    test.acknowledged().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_hogs_every_thread_keeps_its_lease() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Hog;
    impl Job for Hog {
        const NAME: &'static str = "hog";
    }
    let test = test_queue().await;
    test.enqueue(&[Hog, Hog, Hog, Hog, Hog, Hog], &Options::default()).await;
    let deliveries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deliveries);
    let hog = move |ctx: Context, _| {
        seen.lock().unwrap().push(ctx.claim.delivery);
        async {
            // Not tokio's: this thread does nothing else for twice a lease.
            std::thread::sleep(Duration::from_secs(3));
            Ok(())
        }
    };
    let worker = work(&Worker::builder(&test.queue).queue("default", 6).register::<Hog>(hog).build());
    until("the hogs to end", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state = 'completed'").await == 6
    })
    .await;
    worker.stop().await;
    assert_eq!(*deliveries.lock().unwrap(), [1; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_finishes_what_runs_and_hands_back_the_rest() {
    const JOBS: i64 = 300;
    let test = test_queue().await;
    let jobs: Vec<Effect> = (0..JOBS).map(|n| Effect { n, millis: 300 }).collect();
    test.enqueue(&jobs, &Options::default()).await;
    let worker = work(&test.effect_worker(10));
    until("a round to end", LONG, || async { test.effects().await.0 >= 10 }).await;
    worker.stop().await;
    let (effects, jobs) = test.effects().await;
    assert_eq!(effects, jobs);
    assert!((10..JOBS).contains(&effects), "{effects} ran");
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), ((JOBS - effects).unsigned_abs(), 0));
    until("nobody to be left", LONG, || async { test.queue.workers().await.unwrap().is_empty() }).await;
    test.queue.drain(&test.effect_worker(50), LONG).await.unwrap();
    assert_eq!(test.effects().await, (JOBS, JOBS));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_period_is_handed_back_too() {
    let test = test_queue().await;
    let config = QueueConfig { grace: Duration::from_millis(200), ..config(&test.stack) };
    let queue = Queue::connect(test.pool.clone(), config).await.unwrap();
    let id = test.enqueue(&[Stuck], &Options::default()).await[0];
    let worker = work(&holder(&queue));
    until("a claim", LONG, || async { leased(&test).await == 1 }).await;
    worker.stop().await;
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (1, 0));
    assert_eq!(test.state(id).await, ("available".into(), 0, None));
}
