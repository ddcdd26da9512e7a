//! What a job may be given when it is enqueued, in place of what its type says.

use std::time::Duration;

use gristmill_queue::{Backoff, Context, Job, JobError, Options, Worker};
use serde::{Deserialize, Serialize};

use super::support::{Effect, LONG, effect, sweep, test_queue, until, work};

#[derive(Serialize, Deserialize)]
struct Slow {
    fail: bool,
}

impl Job for Slow {
    const NAME: &'static str = "slow";
    const MAX_ATTEMPTS: u16 = 2;
}

async fn slow(_: Context, job: Slow) -> Result<(), JobError> {
    if job.fail {
        return Err(JobError::retry("not today"));
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_ends_after_the_timeout_it_was_enqueued_with() {
    let test = test_queue().await;
    let options = Options { timeout: Some(Duration::from_millis(50)), max_attempts: Some(1), ..Options::default() };
    let id = test.enqueue(&[Slow { fail: false }], &options).await[0];
    let _worker = work(&Worker::builder(&test.queue).queue("default", 2).register(slow).build());
    until("its death", LONG, || async { test.state(id).await.0 == "dead" }).await;
    assert_eq!(test.state(id).await.2.as_deref(), Some("timed out after 50ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_starts_too_late_is_cancelled_and_not_run() {
    let test = test_queue().await;
    let short = Options { expires_in: Some(Duration::from_millis(20)), ..Options::default() };
    let late = test.enqueue(&[Effect::new(1)], &short).await[0];
    let long = Options { expires_in: Some(Duration::from_secs(600)), ..Options::default() };
    let kept = test.enqueue(&[Effect::new(2)], &long).await[0];
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _worker = work(&test.effect_worker(2));
    until("both ends", LONG, || async {
        (test.state(late).await.0.as_str(), test.state(kept).await.0.as_str()) == ("cancelled", "completed")
    })
    .await;
    assert_eq!(test.effects().await, (1, 1));
    assert!(test.state(late).await.2.unwrap().contains("expired"));
    let noted = "select count(*) from gristmill.job_attempts where outcome = 'cancelled' and error like 'expired%'";
    assert_eq!(test.count(noted).await, 1, "its history says why");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_waits_as_the_job_says() {
    let test = test_queue().await;
    let backoff = Some(Backoff::Fixed { delay: Duration::from_secs(90) });
    let id = test.enqueue(&[Slow { fail: true }], &Options { backoff, ..Options::default() }).await[0];
    let (_worker, _sweeper) =
        (work(&Worker::builder(&test.queue).queue("default", 2).register(slow).build()), sweep(&test.queue));
    until("its first failure", LONG, || async { test.state(id).await.1 == 1 }).await;
    let seconds = "select extract(epoch from run_at - now())::bigint from gristmill.jobs";
    assert!((80..=90).contains(&test.count(seconds).await), "a fixed wait has no jitter");
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_tags_and_retention_are_the_enqueues() {
    let test = test_queue().await;
    let options = Options {
        queue: Some("other".into()),
        tags: vec!["red".into(), "blue".into()],
        retain: Some(Duration::ZERO),
        ..Options::default()
    };
    let id = test.enqueue(&[Effect::new(1)], &options).await[0];
    let _worker = work(&Worker::builder(&test.queue).queue("other", 2).register(effect).build());
    until("its end", LONG, || async { test.state(id).await.0 == "completed" }).await;
    assert_eq!(
        test.count("select count(*) from gristmill.jobs where tags @> array['blue'] and queue = 'other'").await,
        1
    );
    assert_eq!(test.queue.prune(Duration::from_secs(3_600)).await.unwrap().jobs, 1, "kept for no time");
    let nul = Options { queue: Some("a\0".into()), ..Options::default() };
    let refused = test.queue.enqueue(&mut test.pool.acquire().await.unwrap(), &Effect::new(1), &nul).await;
    assert!(refused.unwrap_err().to_string().contains("queue's name"));
}
