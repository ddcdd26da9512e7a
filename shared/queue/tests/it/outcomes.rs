//! Every way an attempt can end.

use std::time::{Duration, Instant};

use gristmill_queue::{Context, Job, JobError, Options, Worker};
use serde::{Deserialize, Serialize};

use crate::broker_state::about_redis;
use crate::support::{Effect, LONG, TestQueue, once, sweep, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Try {
    how: String,
}

impl Job for Try {
    const NAME: &'static str = "try";
    const MAX_ATTEMPTS: u16 = 3;
    const ALIASES: &'static [&'static str] = &["attempt"];
}

async fn body(ctx: Context, job: Try) -> Result<(), JobError> {
    match job.how.as_str() {
        "fail" => Err(std::io::Error::other("no luck"))?,
        "second" if ctx.attempt < 2 => Err(JobError::retry("not yet")),
        "later" if ctx.attempt < 2 => Err(JobError::RetryAfter(Duration::from_millis(700), "later".into())),
        "panic" => panic!("oh dear"),
        "hang" => std::future::pending().await,
        "discard" => Err(JobError::discard("hopeless")),
        "cancel" => Err(JobError::Cancelled),
        "snooze" => {
            let seen: i64 = sqlx::query_scalar("select count(*) from effects").fetch_one(ctx.queue.pool()).await?;
            if seen >= 5 {
                return once(&ctx, 99).await;
            }
            sqlx::query("insert into effects (job, n) values ($1, 0)")
                .bind(ctx.claim.id)
                .execute(ctx.queue.pool())
                .await?;
            Err(JobError::Snooze(Duration::from_millis(20)))
        }
        _ => Ok(()),
    }
}

fn worker(test: &TestQueue) -> Worker {
    Worker::builder(&test.queue).queue("default", 4).register::<Try>(body).build()
}

/// Runs one job to its end; returns its state, failed attempts and last error.
async fn end_of(how: &str) -> (String, i32, Option<String>) {
    let test = test_queue().await;
    // Only who waits for it has a timeout that is short for a busy machine.
    let options = Options { timeout: (how == "hang").then_some(Duration::from_millis(300)), ..Options::default() };
    let id = test.enqueue(&[Try { how: how.into() }], &options).await[0];
    let (worker, sweeper) = (work(&worker(&test)), sweep(&test.queue));
    until("the end of the job", LONG, || async {
        !["available", "scheduled"].contains(&test.state(id).await.0.as_str())
    })
    .await;
    worker.stop().await;
    sweeper.stop().await;
    test.state(id).await
}

#[tokio::test]
async fn a_failing_job_is_retried_and_then_dead() {
    assert_eq!(end_of("fail").await, ("dead".into(), 3, Some("no luck".into())));
}

#[tokio::test]
async fn a_second_attempt_may_succeed() {
    assert_eq!(end_of("second").await, ("completed".into(), 1, Some("not yet".into())));
}

#[tokio::test]
async fn retry_after_waits_as_long_as_it_says() {
    let started = Instant::now();
    assert_eq!(end_of("later").await.0, "completed");
    assert!(started.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt() {
    assert_eq!(end_of("panic").await, ("dead".into(), 3, Some("panicked: oh dear".into())));
}

#[tokio::test]
async fn a_timeout_is_a_failed_attempt() {
    assert_eq!(end_of("hang").await, ("dead".into(), 3, Some("timed out after 300ms".into())));
}

#[tokio::test]
async fn discard_is_dead_at_once() {
    assert_eq!(end_of("discard").await, ("dead".into(), 1, Some("hopeless".into())));
}

#[tokio::test]
async fn a_body_may_cancel_its_job() {
    assert_eq!(end_of("cancel").await, ("cancelled".into(), 0, None));
}

#[tokio::test]
async fn a_snooze_is_no_attempt() {
    assert_eq!(end_of("snooze").await, ("completed".into(), 0, None));
}

#[tokio::test]
async fn snoozes_are_one_line_of_the_history() {
    let test = test_queue().await;
    let id = test.enqueue(&[Try { how: "snooze".into() }], &Options::default()).await[0];
    let (worker, sweeper) = (work(&worker(&test)), sweep(&test.queue));
    until("the end of the job", LONG, || async { test.state(id).await.0 == "completed" }).await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(test.effects().await, (6, 1), "it was snoozed five times");
    let attempts = test.queue.jobs().get(id).await.unwrap().unwrap().attempts;
    let seen: Vec<_> = attempts.iter().map(|attempt| (attempt.attempt, attempt.outcome.as_str())).collect();
    assert_eq!(seen, [(1, "snoozed")]);
    let snoozed = attempts[0].ended_at.duration_since(attempts[0].started_at.unwrap());
    assert!(snoozed.as_millis() >= 4 * 20, "from the first to the last: {snoozed}");
}

#[tokio::test]
async fn what_no_worker_can_run_is_parked_with_the_reason() {
    let test = test_queue().await;
    let unknown = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let broken = test.enqueue_and_die(&[Try { how: String::new() }]).await[0];
    sqlx::query("update gristmill.jobs set payload = '{\"how\": 7}' where id = $1")
        .bind(broken)
        .execute(&test.pool)
        .await
        .unwrap();
    let renamed = test.enqueue_and_die(&[Try { how: "ok".into() }]).await[0];
    sqlx::query("update gristmill.jobs set name = 'attempt' where id = $1")
        .bind(renamed)
        .execute(&test.pool)
        .await
        .unwrap();
    test.queue.drain(&worker(&test), LONG).await.unwrap();
    let (state, _, error) = test.state(unknown).await;
    assert_eq!((state.as_str(), error.unwrap().as_str()), ("parked", "unknown job `effect`"));
    let (state, _, error) = test.state(broken).await;
    assert_eq!(state, "parked");
    assert!(error.unwrap().starts_with("the payload does not decode: invalid type: integer `7`"));
    assert_eq!(test.state(renamed).await.0, "completed");
}

#[tokio::test]
async fn a_message_of_garbage_ends_no_worker() {
    about_redis!();
    let test = test_queue().await;
    let id = test.enqueue_and_die(&[Effect::new(1)]).await[0];
    let broker = gristmill_queue::redis::Broker::new(&test.stack.namespace, "default");
    let mut redis = test.redis().await;
    let id_text = id.to_string();
    let garbage: [(&str, &[u8]); 3] = [(&id_text, b"\xff{"), ("no uuid", b"{}"), ("", b"")];
    broker.push(&mut redis, 4, &garbage).await.unwrap();
    let worker = work(&test.effect_worker(2));
    until("the garbage to be parked", LONG, || async { test.state(id).await.0 == "parked" }).await;
    test.enqueue(&[Effect::new(2)], &Options::default()).await;
    until("another job to run", LONG, || async { test.effects().await == (1, 1) }).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_of_tomorrow_waits() {
    let test = test_queue().await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let options = Options { run_at: Some(soon), ..Options::default() };
    let id = test.enqueue(&[Effect::new(1)], &options).await[0];
    assert_eq!(test.state(id).await.0, "scheduled");
    let (worker, sweeper) = (work(&test.effect_worker(2)), sweep(&test.queue));
    until("the job to run", LONG, || async { test.state(id).await.0 == "completed" }).await;
    let late = jiff::Timestamp::now().duration_since(soon);
    assert!(!late.is_negative(), "it did not wait");
    // Within some rounds of the sweep, however busy the machine is.
    assert!(late < jiff::SignedDuration::from_secs(20), "{late:#}");
    worker.stop().await;
    sweeper.stop().await;
}
