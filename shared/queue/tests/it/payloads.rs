//! Binaries of several versions at one ledger.

use gristmill_queue::{Context, Job, JobError, JobId, Options, Queue, QueueConfig, Source, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Effect, LONG, TestQueue, config, effect, once, test_queue, until, work};

/// As it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Old {
    pub(crate) seconds: i64,
}

impl Job for Old {
    const NAME: &'static str = "wait";
}

/// The same job a release later: the unit has changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct New {
    pub(crate) millis: i64,
}

impl Job for New {
    const NAME: &'static str = "wait";
    const VERSION: u16 = 3;

    fn upgrade(from: u16, payload: Value) -> Result<Value, Source> {
        match from {
            1 => Ok(json!({ "millis": payload["seconds"].as_i64().ok_or("no seconds")? * 1_000 })),
            _ => Err("version 2 was never released".into()),
        }
    }
}

async fn queue(test: &TestQueue, version: &str) -> Queue {
    let config = QueueConfig { version: version.into(), ..config(&test.stack) };
    Queue::connect(test.pool.clone(), config).await.unwrap()
}

async fn parked_by(test: &TestQueue, id: JobId) -> Option<String> {
    sqlx::query_scalar("select parked_by from gristmill.jobs where id = $1")
        .bind(id)
        .fetch_one(&test.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_payloads_are_upgraded_and_newer_ones_wait_for_who_can_read_them() {
    let test = test_queue().await;
    let old = test.enqueue(&[Old { seconds: 2 }], &Options::default()).await[0];
    let new = test.enqueue(&[New { millis: 70 }], &Options::default()).await[0];
    let lost = test.enqueue_and_die(&[New { millis: 1 }]).await[0];
    sqlx::query("update gristmill.jobs set version = 2 where id = $1").bind(lost).execute(&test.pool).await.unwrap();

    let (v1, v2) = (queue(&test, "1.0").await, queue(&test, "2.0").await);
    let body = |ctx: Context, job: Old| async move { once(&ctx, job.seconds).await };
    let first = work(&Worker::builder(&v1).queue("default", 2).register::<Old>(body).build());
    until("what it cannot read to be parked", LONG, || async { test.state(new).await.0 == "parked" }).await;
    let (_, attempts, error) = test.state(new).await;
    assert_eq!(attempts, 0);
    assert_eq!(error.unwrap(), "the payload does not decode: it is of version 3, this binary knows 1");
    assert!(parked_by(&test, new).await.unwrap().starts_with("1.0+"), "its version, and what it knows");
    until("the old one", LONG, || async { test.state(old).await.0 == "completed" }).await;
    first.stop().await;

    // Another one of the same version and the same jobs does not try again.
    let again = work(&Worker::builder(&v1).queue("default", 2).register::<Old>(body).build());
    let older = test.enqueue(&[Old { seconds: 3 }], &Options::default()).await[0];
    until("the older one", LONG, || async { test.state(older).await.0 == "completed" }).await;
    again.stop().await;
    assert_eq!(test.count("select count(*) from gristmill.job_attempts where outcome = 'parked'").await, 1);

    let oldest = test.enqueue(&[Old { seconds: 5 }], &Options::default()).await[0];
    let body = |ctx: Context, job: New| async move { once(&ctx, job.millis).await };
    let mut sweeper = gristmill_queue::Sweeper::new(&test.queue);
    sweeper.sweep().await.unwrap();
    let second = work(&Worker::builder(&v2).queue("default", 2).register::<New>(body).build());
    until("both", LONG, || async {
        test.state(new).await.0 == "completed" && test.state(oldest).await.0 == "completed"
    })
    .await;
    assert_eq!(test.count("select count(*) from effects where n in (70, 5000)").await, 2);
    until("the one in between", LONG, || async { test.state(lost).await.0 == "parked" }).await;
    assert!(test.state(lost).await.2.unwrap().contains("version 2 was never released"));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_job_waits_for_a_worker_that_knows_its_name() {
    let test = test_queue().await;
    let id = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let (v1, v2) = (queue(&test, "1.0").await, queue(&test, "2.0").await);
    let nothing = |_: Context, _: Old| async { Ok::<(), JobError>(()) };
    let worker = work(&Worker::builder(&v1).queue("default", 2).register::<Old>(nothing).build());
    until("it to be parked", LONG, || async { test.state(id).await.0 == "parked" }).await;
    worker.stop().await;
    let worker = work(&Worker::builder(&v2).queue("default", 2).register::<Effect>(effect).build());
    until("it to run", LONG, || async { test.state(id).await.0 == "completed" }).await;
    assert_eq!(parked_by(&test, id).await, None);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_while_a_worker_runs_is_tried_too_and_of_one_key_one_at_a_time() {
    let test = test_queue().await;
    let v2 = queue(&test, "2.0").await;
    let options = Options { unique_key: Some("one".into()), ..Options::default() };
    let worker = work(&Worker::builder(&v2).queue("default", 2).register::<Effect>(effect).build());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for n in [1, 2] {
        let mut tx = test.pool.begin().await.unwrap();
        let parked = test.queue.enqueue(&mut tx, &Effect::new(n), &options).await.unwrap();
        sqlx::query("update gristmill.jobs set state = 'parked', parked_by = '1.0' where id = any($1)")
            .bind(parked.ids())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    until("both", LONG * 2, || async { test.effects().await == (2, 2) }).await;
    worker.stop().await;
}
