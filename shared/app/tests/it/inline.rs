//! An application without engines.

use std::time::Duration;

use gristmill::{Error, GroupId, JobState, Unique, WaitError, prelude::*};
use sqlx::PgPool;

use crate::support::{Add, End, add, app};

const STEPS: &str = "steps, cursors, sleeps and waits need Postgres, and this is an App without engines: use `App::test` in place of `App::inline`";
const SOON: Duration = Duration::from_secs(5);

async fn end(job: End, context: Context, client: Client) -> Result<String, JobError> {
    match &*job.how {
        "retry" => Err(JobError::retry("not now")),
        "second" if context.attempt < 2 => Err(JobError::retry("not yet")),
        "discard" => Err(JobError::discard("never")),
        "snooze" if context.claim.delivery < 3 => Err(JobError::Snooze(Duration::from_secs(60))),
        "panic" => panic!("oh dear"),
        "hang" => std::future::pending().await,
        "nest" => {
            let sum: i64 = client
                .enqueue(Add { a: 20, b: 22 })
                .wait(SOON)
                .await
                .map_err(|error| JobError::retry(error.to_string()))?;
            Ok(sum.to_string())
        }
        "step" => context.step("one", async || Ok::<_, JobError>("one".to_owned())).await,
        how => Ok(how.to_owned()),
    }
}

fn inline() -> gristmill::InlineApp {
    app().job(add).job_with(end, |job| job.timeout(Duration::from_millis(200))).inline().unwrap()
}

#[tokio::test]
async fn a_job_has_run_when_it_is_enqueued() {
    let app = inline();
    let job = app.enqueue(Add { a: 2, b: 3 }).await.unwrap();
    assert_eq!(job.wait::<i64>(SOON).await.unwrap(), 5);
    assert_eq!(app.enqueue(End::by("nest")).wait::<String>(SOON).await.unwrap(), "42");
    assert_eq!(app.enqueued::<Add>().unwrap().len(), 2);
    assert_eq!(app.jobs().iter().filter(|job| job.state == JobState::Completed).count(), 3);
}

#[tokio::test]
async fn each_end_is_what_it_is_with_engines() {
    let app = inline();
    for (how, state, attempt, error) in [
        ("retry", JobState::Scheduled, 1, Some("not now")),
        ("discard", JobState::Dead, 1, Some("never")),
        ("snooze", JobState::Scheduled, 0, None),
        ("panic", JobState::Scheduled, 1, Some("panicked: oh dear")),
        ("hang", JobState::Scheduled, 1, Some("timed out after 200ms")),
        ("step", JobState::Dead, 1, Some(STEPS)),
        ("well", JobState::Completed, 0, None),
    ] {
        let job = app.enqueue(End::by(how)).await.unwrap();
        let found = app.jobs().into_iter().find(|found| Some(found.id) == job.id()).unwrap();
        assert_eq!((found.state, found.attempt, found.error.as_deref()), (state, attempt, error), "{how}");
    }
}

#[tokio::test]
async fn what_waits_runs_when_the_time_has_come() {
    let app = inline();
    let second = app.enqueue(End::by("second")).await.unwrap();
    let later = app.enqueue(Add { a: 1, b: 1 }).delay(Duration::from_secs(3_600)).await.unwrap();
    let snoozed = app.enqueue(End::by("snooze")).await.unwrap();
    let dead = app.enqueue(End::by("retry")).await.unwrap();
    assert!(matches!(later.wait::<i64>(Duration::from_millis(20)).await, Err(WaitError::Timeout { .. })));
    app.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(second.wait::<String>(SOON).await.unwrap(), "second");
    assert_eq!(snoozed.wait::<String>(SOON).await.unwrap(), "snooze");
    assert!(matches!(dead.wait::<String>(SOON).await, Err(WaitError::Failed { state: JobState::Dead, .. })));
    let before = app.now();
    app.advance(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(later.wait::<i64>(SOON).await.unwrap(), 2);
    assert_eq!(app.now(), before + Duration::from_secs(3_600));
}

#[tokio::test]
async fn a_key_that_is_held_lets_no_other_in() {
    let app = inline();
    let first = app.enqueue(Add { a: 1, b: 1 }).unique_key("one").delay(SOON).await.unwrap();
    let second = app.enqueue(Add { a: 1, b: 1 }).unique_key("one").await.unwrap();
    assert_eq!((second.is_new(), second.id()), (false, first.id()));
    app.advance(SOON).await.unwrap();
    assert!(app.enqueue(Add { a: 1, b: 1 }).unique_key("one").await.unwrap().is_new());
}

#[tokio::test]
async fn a_schedule_is_fired_by_its_name() {
    async fn tick(_: End, tick: Tick) -> Result<String, JobError> {
        Ok(tick.schedule)
    }
    let app = app().job(tick).cron("digest", "@daily", |c| c.job(&End::by("digest"))).inline().unwrap();
    let id = app.fire("digest").await.unwrap();
    assert_eq!(app.wait::<String>(id, SOON).await.unwrap(), "digest");
    assert!(app.fire("other").await.unwrap_err().to_string().contains("`other`"));
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    async fn with_tx(_: Add, _: Tx) {}
    async fn with_pool(_: End, _: PgPool) {}
    let app = app().job(with_tx).job(with_pool).inline().unwrap();
    for (what, ended) in [
        ("Tx", app.enqueue(Add { a: 1, b: 1 }).wait::<()>(SOON).await),
        ("PgPool", app.enqueue(End::by("pool")).wait::<()>(SOON).await),
    ] {
        let error = ended.unwrap_err().to_string();
        assert!(
            error.contains(&format!("{what} needs Postgres and Redis, and this is an App without engines")),
            "{error}"
        );
    }
    let inline = |error: &Error| matches!(error, Error::Inline(_));
    assert!(inline(&app.begin().await.unwrap_err()) && inline(&app.queue().map(drop).unwrap_err()));
    let group = GroupId::from(uuid::Uuid::now_v7());
    assert!(inline(&app.enqueue(Add { a: 1, b: 1 }).group(group).await.unwrap_err()));
    assert!(inline(&app.enqueue(Add { a: 1, b: 1 }).unique(Unique::within("a", SOON)).await.unwrap_err()));
    let unknown = super::support::app().job(add).inline().unwrap().enqueue(End::by("x")).await.unwrap_err();
    assert!(unknown.to_string().contains("no handler for"), "{unknown}");
}
