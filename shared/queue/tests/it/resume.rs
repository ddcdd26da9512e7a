//! Bodies that go on where a run before them has stopped: steps, a cursor, sleeps, waits for signals.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use gristmill_queue::{Claim, Context, Fence, Job, JobError, JobId, Options, Queue, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::support::{Effect, LONG, TestQueue, config, effect, sweep, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    n: i64,
}

impl Job for Order {
    const NAME: &'static str = "order";

    fn backoff(_: u32) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// A run made by hand, of the first attempt.
fn by_hand(test: &TestQueue, id: JobId, delivery: u64) -> Context {
    Context {
        claim: Claim::new(id, delivery),
        name: Order::NAME.into(),
        attempt: 1,
        max_attempts: 8,
        cancel: CancellationToken::new(),
        queue: test.queue.clone(),
        client_id: None,
        trace_parent: None,
    }
}

async fn result(test: &TestQueue, id: JobId) -> Option<Value> {
    test.queue.jobs().get(id).await.unwrap().unwrap().result
}

async fn completed(test: &TestQueue, id: JobId) {
    until("the job to be completed", LONG, || async { test.state(id).await.0 == "completed" }).await;
}

/// Runs a worker on a runtime of its own until its body says so, then drops the runtime: it dies.
async fn dies<Run>(test: &TestQueue, body: impl Fn(Context, UnboundedSender<()>) -> Run + Send + Sync + 'static)
where
    Run: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let (url, config) = (test.stack.database_url.clone(), config(&test.stack));
    let (said, mut says) = tokio::sync::mpsc::unbounded_channel();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move {
        let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
        let body = move |ctx: Context, _: Order| body(ctx, said.clone());
        let worker = Worker::builder(&queue).queue("default", 1).register::<Order>(body).build();
        worker.run(CancellationToken::new()).await.unwrap();
    });
    tokio::time::timeout(LONG, says.recv()).await.unwrap().unwrap();
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_done_once_although_its_worker_dies_and_its_attempts_fail() {
    let test = test_queue().await;
    let id = test.enqueue(&[Order { n: 7 }], &Options::default()).await[0];
    dies(&test, |ctx, said| async move {
        let charge: Value = ctx.step("charge", async || Ok::<_, JobError>(json!({ "id": "c-1" }))).await?;
        assert_eq!(charge["id"], "c-1");
        ctx.save_cursor(&3).await?;
        said.send(()).unwrap();
        std::future::pending().await
    })
    .await;
    let ships = Arc::new(AtomicU32::new(0));
    let ships_seen = Arc::clone(&ships);
    let body = move |ctx: Context, _: Order| {
        let ships = Arc::clone(&ships);
        async move {
            let charge: Value = ctx
                .step("charge", async || -> Result<Value, JobError> {
                    panic!("it was done before the first worker died")
                })
                .await?;
            let from: u32 = ctx.cursor().await?.unwrap();
            if from < 5 {
                ctx.save_cursor(&(from + 1)).await?;
                return Err(JobError::retry("not there yet"));
            }
            let shipped = ctx
                .step("ship", async || {
                    let n = ships.fetch_add(1, SeqCst);
                    // A step that fails is not recorded.
                    if n == 0 { Err(JobError::retry("no truck")) } else { Ok(format!("truck {n}")) }
                })
                .await?;
            ctx.set_result(&json!({ "charge": charge["id"], "ship": shipped, "attempt": ctx.attempt }))?;
            Ok(())
        }
    };
    let worker = work(&Worker::builder(&test.queue).queue("default", 1).register::<Order>(body).build());
    let sweeper = sweep(&test.queue);
    completed(&test, id).await;
    assert_eq!(result(&test, id).await, Some(json!({ "charge": "c-1", "ship": "truck 1", "attempt": 4 })));
    assert_eq!(ships_seen.load(SeqCst), 2);
    let job = test.queue.jobs().get(id).await.unwrap().unwrap();
    let steps: Vec<_> = job.steps.iter().map(|step| (step.name.as_str(), step.result.clone().unwrap())).collect();
    assert_eq!(steps, [("charge", json!({ "id": "c-1" })), ("ship", json!("truck 1"))]);
    assert_eq!(job.cursor, Some(json!(5)));
    test.queue.prune(Duration::ZERO).await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.job_steps").await, 0);
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_a_time_one_records_a_step_and_both_have_its_result() {
    let test = test_queue().await;
    let id = test.enqueue(&[Order { n: 7 }], &Options::default()).await[0];
    let (one, other) = (by_hand(&test, id, 1), by_hand(&test, id, 2));
    let step = |ctx: Context, value: u32| async move { ctx.step("charge", async || Ok::<_, JobError>(value)).await };
    let (one, other) = tokio::join!(step(one, 1), step(other, 2));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one == other && (one == 1 || one == 2), "{one} and {other}");
    // Of another attempt, and of a job that is done, nothing is recorded.
    let earlier = by_hand(&test, id, 1);
    sqlx::query("update gristmill.jobs set attempt = 1 where id = $1").bind(id).execute(&test.pool).await.unwrap();
    assert!(matches!(earlier.step("ship", async || Ok::<_, JobError>(1)).await, Err(JobError::Cancelled)));
    sqlx::query("update gristmill.jobs set attempt = 0, state = 'completed' where id = $1")
        .bind(id)
        .execute(&test.pool)
        .await
        .unwrap();
    let late = by_hand(&test, id, 3);
    assert!(matches!(late.save_cursor(&1).await, Err(JobError::Cancelled)));
    assert!(matches!(late.sleep(HOUR).await, Err(JobError::Cancelled)));
    assert!(matches!(late.wait_for::<()>("approved", HOUR).await, Err(JobError::Cancelled)));
    assert_eq!(test.count("select count(*) from gristmill.job_steps").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_step_is_said() {
    let test = test_queue().await;
    let id = test.enqueue(&[Order { n: 7 }], &Options::default()).await[0];
    let ctx = by_hand(&test, id, 1);
    let said = |error: JobError| match error {
        JobError::Discard(error) => error.to_string(),
        error => panic!("{error:?}"),
    };
    let one = async || Ok::<_, JobError>(1);
    assert_eq!(ctx.step("one", one).await.unwrap(), 1);
    let twice = said(ctx.step("one", async || Ok::<_, JobError>(2)).await.unwrap_err());
    assert!(twice.starts_with("two steps of a job are called `one`"), "{twice}");
    let unnamed = said(ctx.step("", async || Ok::<_, JobError>(2)).await.unwrap_err());
    assert!(unnamed.contains("1 to 200 characters"), "{unnamed}");
    let large = said(ctx.step("large", async || Ok::<_, JobError>("x".repeat(20_000))).await.unwrap_err());
    assert!(large.contains("`large`: a result of 20002 bytes is too large"), "{large}");
    let again = by_hand(&test, id, 2);
    let other = said(again.step("one", async || Ok::<_, JobError>(String::new())).await.unwrap_err());
    assert!(other.contains("the step `one` is not of the type"), "{other}");
    // The body holds the row itself: it would wait for itself.
    let mut tx = test.pool.begin().await.unwrap();
    assert_eq!(test.queue.lock(&mut tx, &again.claim).await.unwrap(), Fence::Held);
    let locked = again.step("two", async || Ok::<_, JobError>(2)).await.unwrap_err().to_string();
    assert!(locked.contains("the row of the job is locked") && locked.contains("Tx"), "{locked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_gives_its_worker_back_and_is_no_attempt() {
    let test = test_queue().await;
    // It has started: its sleep is not what it was to start within.
    let options = Options { expires_in: Some(Duration::from_secs(3)), ..Options::default() };
    let id = test.enqueue(&[Order { n: 7 }], &options).await[0];
    let steps = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&steps);
    let body = move |ctx: Context, _: Order| {
        let steps = Arc::clone(&steps);
        async move {
            ctx.step("before", async || Ok::<_, JobError>(steps.fetch_add(1, SeqCst))).await?;
            ctx.sleep(Duration::from_millis(3_500)).await?;
            ctx.step("between", async || Ok::<_, JobError>(steps.fetch_add(1, SeqCst))).await?;
            ctx.sleep(Duration::from_millis(100)).await?;
            ctx.set_result(&ctx.attempt)?;
            Ok(())
        }
    };
    let worker = Worker::builder(&test.queue).queue("default", 1).register::<Order>(body).register::<Effect>(effect);
    let (worker, sweeper) = (work(&worker.build()), sweep(&test.queue));
    until("it to sleep", LONG, || async { test.state(id).await.0 == "scheduled" }).await;
    // The only slot is free.
    test.enqueue(&Effect::many(3), &Options::default()).await;
    until("others to run meanwhile", LONG, || async { test.effects().await == (3, 3) }).await;
    completed(&test, id).await;
    assert_eq!((seen.load(SeqCst), result(&test, id).await), (2, Some(json!(1))));
    let job = test.queue.jobs().get(id).await.unwrap().unwrap();
    let kinds: Vec<_> = job.steps.iter().map(|step| (step.kind.as_str(), step.name.as_str())).collect();
    assert_eq!(kinds, [("step", "before"), ("sleep", "1"), ("step", "between"), ("sleep", "2")]);
    let slept = job.steps[2].done_at.unwrap().duration_since(job.steps[0].done_at.unwrap());
    assert!(slept >= jiff::SignedDuration::from_millis(3_500), "{slept:?}");
    let outcomes: Vec<_> = job.attempts.iter().map(|attempt| (attempt.attempt, attempt.outcome.as_str())).collect();
    assert_eq!(outcomes, [(1, "snoozed")]);
    worker.stop().await;
    sweeper.stop().await;
}

/// Waits twice, for an hour at most each time, and then for something that does not come.
async fn approve(ctx: Context, _: Order) -> Result<(), JobError> {
    let first: Option<Value> = ctx.wait_for("approved", HOUR).await?;
    let second: Option<Value> = ctx.wait_for("approved", HOUR).await?;
    let never: Option<()> = ctx.wait_for("never", Duration::from_millis(50)).await?;
    ctx.set_result(&json!([first, second, never, ctx.attempt]))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_received_once_whenever_it_is_sent() {
    let test = test_queue().await;
    let id = test.enqueue(&[Order { n: 7 }], &Options::default()).await[0];
    // Before anything runs: it is kept.
    assert!(test.queue.signal(id, "approved", &"ana").await.unwrap());
    let worker = Worker::builder(&test.queue).queue("default", 1).register::<Order>(approve).build();
    let (worker, sweeper) = (work(&worker), sweep(&test.queue));
    let waits = async || test.queue.jobs().get(id).await.unwrap().unwrap().waits_for;
    until("it to wait for the second one", LONG, || async { waits().await.as_deref() == Some("approved") }).await;
    assert!(test.queue.signal(id, "other", &"not this").await.unwrap());
    let mut tx = test.pool.begin().await.unwrap();
    assert!(test.queue.signal_in(&mut tx, id, "approved", &"never sent").await.unwrap());
    tx.rollback().await.unwrap();
    assert!(test.queue.signal(id, "approved", &json!({ "by": "bob" })).await.unwrap());
    completed(&test, id).await;
    assert_eq!(result(&test, id).await, Some(json!(["ana", { "by": "bob" }, null, 1])));
    // It has ended, and there is none: nobody receives it.
    assert!(!test.queue.signal(id, "approved", &1).await.unwrap());
    assert!(!test.queue.signal(JobId::from(uuid::Uuid::now_v7()), "approved", &1).await.unwrap());
    let large = test.queue.signal(id, "approved", &"x".repeat(20_000)).await.unwrap_err().to_string();
    assert!(large.contains("20002 bytes"), "{large}");
    worker.stop().await;
    sweeper.stop().await;
}

/// Signals come at any moment: while the body looks, while it is put to sleep, while it sleeps, while its worker dies.
#[tokio::test(flavor = "multi_thread")]
async fn no_signal_is_lost_or_received_twice() {
    const JOBS: i64 = 40;
    let test = test_queue().await;
    let jobs: Vec<Order> = (0..JOBS).map(|n| Order { n }).collect();
    let ids = test.enqueue(&jobs, &Options::default()).await;
    let body = |ctx: Context, job: Order| async move {
        tokio::time::sleep(Duration::from_millis(job.n.unsigned_abs() % 7)).await;
        let mut received = Vec::new();
        for _ in 0..3 {
            received.extend(ctx.wait_for::<u32>("go", HOUR).await?);
        }
        ctx.set_result(&received)?;
        Ok(())
    };
    // One that dies with what it holds, and then two others.
    let stop = dies(&test, move |ctx, said| async move {
        ctx.wait_for::<u32>("go", HOUR).await?;
        said.send(()).unwrap();
        std::future::pending().await
    });
    let sweeper = sweep(&test.queue);
    let send = async {
        for round in 0..3_u32 {
            for (n, id) in ids.iter().enumerate() {
                assert!(test.queue.signal(*id, "go", &round).await.unwrap());
                tokio::time::sleep(Duration::from_millis(n as u64 % 5)).await;
            }
        }
    };
    let run = async {
        stop.await;
        let worker = || Worker::builder(&test.queue).queue("default", 8).register::<Order>(body).build();
        (work(&worker()), work(&worker()))
    };
    let ((), (one, other)) = tokio::join!(send, run);
    for id in &ids {
        completed(&test, *id).await;
        assert_eq!(result(&test, *id).await, Some(json!([0, 1, 2])));
    }
    assert_eq!(test.count("select count(*) from gristmill.job_signals where taken_at is null").await, 0);
    assert_eq!(test.count("select count(*) from gristmill.jobs where attempt > 0").await, 0);
    one.stop().await;
    other.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_by_sql_comes_with_its_commit() {
    let test = test_queue().await;
    let id = test.enqueue(&[Order { n: 7 }], &Options::default()).await[0];
    for (sql, problem) in [
        ("select gristmill.signal($1, '')", "1 to 200 are allowed"),
        ("select gristmill.signal($1, 'a', to_jsonb(repeat('x', 20000)))", "at most 16384 are kept"),
    ] {
        let error = sqlx::query(sql).bind(id).execute(&test.pool).await.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let sent = |sql: &'static str| sqlx::query_scalar::<_, bool>(sql).bind(id).fetch_one(&test.pool);
    assert!(sent("select gristmill.signal($1, 'approved')").await.unwrap());
    assert!(sent("select gristmill.signal($1, 'approved', '[1, 2]')").await.unwrap());
    let worker = Worker::builder(&test.queue).queue("default", 1).register::<Order>(approve).build();
    let (worker, sweeper) = (work(&worker), sweep(&test.queue));
    completed(&test, id).await;
    assert_eq!(result(&test, id).await, Some(json!([null, [1, 2], null, 1])));
    assert!(!sent("select gristmill.signal($1, 'approved')").await.unwrap());
    worker.stop().await;
    sweeper.stop().await;
}
