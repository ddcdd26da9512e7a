//! A job that waits is changed, or runs now; one that has ended badly runs again with another payload.

use std::time::Duration;

use gristmill_queue::{Backoff, ChangeError, Job, JobChange, JobFilter, JobId, JobState, Options, Worker};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::support::{Effect, LONG, effect, sweep, test_queue, until, work};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_job_is_changed_and_promoted() {
    let test = test_queue().await;
    let later = Options { delay: Some(HOUR), ..Options::default() };
    let id = test.enqueue(&[Effect::new(1)], &later).await[0];
    let change = JobChange {
        payload: Some(json!({ "n": 7 })),
        queue: Some("other".into()),
        priority: Some(0),
        tags: Some(vec!["changed".into()]),
        timeout: Some(HOUR),
        ..JobChange::default()
    };
    let changed = test.queue.jobs().change(id, &change).await.unwrap();
    assert_eq!(
        (changed.job.queue.as_str(), changed.job.priority, changed.payload["n"].as_i64()),
        ("other", 0, Some(7))
    );
    let (_worker, _sweeper) =
        (work(&Worker::builder(&test.queue).queue("other", 1).register(effect).build()), sweep(&test.queue));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(test.effects().await.0, 0, "it still waits for its hour");
    test.queue.jobs().change(id, &JobChange::promote()).await.unwrap();
    until("its effect", LONG, || async { test.count("select count(*) from effects where n = 7").await == 1 }).await;
    assert!(matches!(
        test.queue.jobs().change(id, &change).await,
        Err(ChangeError::State { state: JobState::Completed, .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_wait_for_its_time_is_not_promoted_and_what_has_not_failed_is_not_retried() {
    let test = test_queue().await;
    let jobs = test.queue.jobs();
    let later = Options { delay: Some(HOUR), ..Options::default() };
    let waits = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let later = test.enqueue(&[Effect::new(2)], &later).await[0];
    let mut tx = test.pool.begin().await.unwrap();
    let error = jobs.promote_in(&mut tx, waits).await.unwrap_err();
    assert!(matches!(error, ChangeError::NotScheduled { state: JobState::Available, .. }), "{error}");
    tx.rollback().await.unwrap();
    let change = JobChange { payload: Some(json!({ "n": 9 })), ..JobChange::default() };
    for (id, is) in [(waits, JobState::Available), (later, JobState::Scheduled)] {
        let error = jobs.retry_with(id, &change).await.unwrap_err();
        assert!(matches!(error, ChangeError::NotEnded { state, .. } if state == is), "{error}");
    }
    jobs.cancel(&JobFilter::ids([later])).await.unwrap();
    let mut tx = test.pool.begin().await.unwrap();
    let error = jobs.promote_in(&mut tx, later).await.unwrap_err().to_string();
    assert!(error.contains("is cancelled: only one that is scheduled can be promoted"), "{error}");
    tx.rollback().await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.jobs where payload->>'n' = '9'").await, 0, "nothing changed");
    let again = jobs.retry_with(later, &change).await.unwrap();
    assert_eq!((again.job.state, again.job.redriven, again.payload["n"].as_i64()), (JobState::Available, 1, Some(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_unique_key_another_one_has_is_not_retried_and_stays_as_it_was() {
    let test = test_queue().await;
    let only = Options { unique_key: Some("only".into()), ..Options::default() };
    let first = test.enqueue(&[Effect::new(1)], &only).await[0];
    test.queue.jobs().cancel(&JobFilter::ids([first])).await.unwrap();
    test.enqueue(&[Effect::new(2)], &only).await;
    let change = JobChange { payload: Some(json!({ "n": 3 })), ..JobChange::default() };
    let error = test.queue.jobs().retry_with(first, &change).await.unwrap_err();
    assert!(matches!(error, ChangeError::NotAgain(id) if id == first), "{error}");
    let still = test.queue.jobs().get(first).await.unwrap().unwrap();
    assert_eq!((still.job.state, still.payload["n"].as_i64()), (JobState::Cancelled, Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_shows_its_options_and_is_found_by_its_tags() {
    let test = test_queue().await;
    let jobs = test.queue.jobs();
    let options = Options {
        tags: vec!["red".into(), "round".into(), "red".into()],
        timeout: Some(Duration::from_millis(1_500)),
        expires_in: Some(HOUR),
        retain: Some(Duration::ZERO),
        backoff: Some(Backoff::Fixed { delay: Duration::from_secs(2) }),
        ..Options::default()
    };
    let ids = test.enqueue(&[Effect::new(1), Effect::new(2)], &options).await;
    test.enqueue(&[Effect::new(3)], &Options::default()).await;
    let shown = jobs.get(ids[0]).await.unwrap().unwrap();
    assert_eq!(shown.job.tags, ["red", "round", "red"]);
    assert_eq!((shown.timeout_ms, shown.retain_seconds), (Some(1_500), Some(0)));
    assert_eq!(shown.backoff, Some(json!({ "type": "fixed", "delay_ms": 2_000 })));
    let due = shown.expires_at.unwrap().duration_since(shown.job.run_at);
    assert_eq!((due.as_secs(), shown.tick), (3_600, None));

    let found = async |filter: JobFilter| {
        let page = jobs.list(&filter, None, 50).await.unwrap();
        assert_eq!(page.next, None);
        assert_eq!(jobs.count(&filter).await.unwrap().jobs, page.jobs.len() as u64);
        page.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let tag = |tag: &str| JobFilter { tag: Some(tag.into()), ..JobFilter::default() };
    assert_eq!(found(tag("red")).await, [ids[1], ids[0]], "the newest first, each once");
    assert_eq!(found(tag("blue")).await, []);
    assert_eq!(found(JobFilter { states: vec![JobState::Dead], ..tag("round") }).await, []);
    assert_eq!(found(JobFilter { ids: vec![ids[0]], ..tag("round") }).await, [ids[0]]);
    // Page by page.
    let first = jobs.list(&tag("red"), None, 1).await.unwrap();
    assert_eq!((first.jobs[0].id, first.next), (ids[1], Some(ids[1])));
    assert_eq!(jobs.list(&tag("red"), first.next, 1).await.unwrap().jobs[0].id, ids[0]);

    // What changes and what goes is known by its index, too.
    jobs.cancel(&JobFilter::ids([ids[0]])).await.unwrap();
    jobs.change(ids[0], &JobChange { tags: Some(vec!["blue".into()]), ..JobChange::default() }).await.unwrap();
    assert_eq!((found(tag("red")).await, found(tag("blue")).await), (vec![ids[1]], vec![ids[0]]));
    jobs.change(ids[0], &JobChange { tags: Some(vec![]), ..JobChange::default() }).await.unwrap();
    assert_eq!(jobs.get(ids[0]).await.unwrap().unwrap().job.tags, [""; 0]);
    jobs.cancel(&tag("red")).await.unwrap();
    assert_eq!(test.queue.prune(Duration::ZERO).await.unwrap().jobs, 2);
    assert_eq!(test.count("select count(*) from gristmill.job_tags").await, 0);
}

#[derive(Serialize, Deserialize)]
struct Wrong {
    n: String,
}

impl Job for Wrong {
    const NAME: &'static str = "effect";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_could_read_runs_again_with_another_payload() {
    let test = test_queue().await;
    let id = test.enqueue(&[Wrong { n: "seven".into() }], &Options::default()).await[0];
    let (_worker, _sweeper) = (work(&test.effect_worker(1)), sweep(&test.queue));
    until("that it is parked", LONG, || async { test.state(id).await.0 == "parked" }).await;
    let change = JobChange { payload: Some(json!({ "n": 7 })), ..JobChange::default() };
    test.queue.jobs().retry_with(id, &change).await.unwrap();
    until("its effect", LONG, || async { test.effects().await == (1, 1) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_is_refused_and_changes_nothing() {
    let test = test_queue().await;
    let waits = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let later = Options { delay: Some(HOUR), ..Options::default() };
    let id = test.enqueue(&[Effect::new(1)], &later).await[0];
    let with = |change: fn(&mut JobChange)| {
        let mut changed = JobChange { priority: Some(1), ..JobChange::default() };
        change(&mut changed);
        changed
    };
    for (job, change, said) in [
        (JobId::from(uuid::Uuid::now_v7()), with(|_| ()), "there is no job"),
        (waits, with(|_| ()), "is available: only a job that is scheduled, dead, parked or cancelled"),
        (id, with(|c| c.queue = Some(String::new())), "the queue is empty"),
        (id, with(|c| c.priority = Some(10)), "the priority is more than 9"),
        (id, with(|c| c.max_attempts = Some(0)), "the number of attempts is zero"),
        (id, with(|c| c.payload = Some(json!("a\u{0}b"))), "has a NUL character"),
        (id, with(|c| c.payload = Some(json!("x".repeat(300_000)))), "300002 bytes"),
    ] {
        let refused = test.queue.jobs().change(job, &change).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    assert_eq!(test.count("select count(*) from gristmill.jobs where priority = 4").await, 2);
}
