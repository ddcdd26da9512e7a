//! What handlers take and return.

use std::time::Duration;

use gristmill::{Backoff, JobState, WaitError, apalis_core::task::task_id::TaskId, prelude::*};
use sqlx::PgPool;

use crate::support::{Add, End, add, app};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Greeting(&'static str);

#[derive(Serialize, Deserialize, Job)]
#[job(
    name = "everything",
    queue = "odds",
    priority = 2,
    max_attempts = 5,
    timeout = "30s",
    version = 1,
    aliases("all", "lot")
)]
struct Everything {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    greeting: String,
    name: String,
    attempt: u32,
    last: u32,
    same: bool,
    answer: i32,
    number: Option<u8>,
}

#[expect(clippy::too_many_arguments, reason = "as many as there can be")]
async fn everything(
    _: Everything,
    Data(greeting): Data<Greeting>,
    number: Option<Data<u8>>,
    context: Context,
    claim: Claim,
    id: TaskId,
    pool: PgPool,
    tick: Option<Tick>,
    _client: Client,
) -> Result<Seen, sqlx::Error> {
    assert_eq!(tick, None);
    Ok(Seen {
        greeting: greeting.0.to_owned(),
        name: context.name.to_string(),
        attempt: context.attempt,
        last: context.max_attempts,
        same: claim.id == context.claim.id && id.to_string() == claim.id.to_string(),
        answer: sqlx::query_scalar("select 42").fetch_one(&pool).await?,
        number: number.map(|Data(number)| number),
    })
}

#[tokio::test]
async fn a_handler_takes_whatever_there_is() {
    let app = app().data(Greeting("hello")).job(everything).test().await.unwrap();
    let job = app.enqueue(Everything {}).await.unwrap();
    app.drain().await.unwrap();
    let seen: Seen = job.wait(MINUTE).await.unwrap();
    let expected = Seen {
        greeting: "hello".into(),
        name: "everything".into(),
        attempt: 1,
        last: 5,
        same: true,
        answer: 42,
        number: None,
    };
    assert_eq!(seen, expected);
}

#[test]
fn derived_consts() {
    assert_eq!((Everything::NAME, Everything::QUEUE, Everything::PRIORITY), ("everything", "odds", 2));
    assert_eq!((Everything::MAX_ATTEMPTS, Everything::TIMEOUT), (5, Duration::from_secs(30)));
    assert_eq!((Everything::ALIASES, Everything::VERSION), (&["all", "lot"][..], 1));
    assert_eq!((Add::NAME, Add::QUEUE), ("add", "default"));
}

async fn end(job: End) -> anyhow_like::Result {
    match &*job.how {
        "retry" => Err("not now".into()),
        "discard" => Err(JobError::discard("never").into()),
        "snooze" => Err(JobError::Snooze(Duration::from_secs(60)).into()),
        "panic" => panic!("oh dear"),
        _ => Ok(()),
    }
}

/// As crates with a boxed error of their own have it.
mod anyhow_like {
    pub(super) type Result = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

#[tokio::test]
async fn errors_of_any_kind_end_an_attempt_as_they_say() {
    let app = app().job(end).test().await.unwrap();
    for (how, state, error) in [
        ("retry", "scheduled", Some("not now")),
        ("discard", "dead", Some("never")),
        ("snooze", "scheduled", None),
        ("panic", "scheduled", Some("panicked: oh dear")),
        ("well", "completed", None),
    ] {
        let job = app.enqueue(End::by(how)).backoff(Backoff::Fixed { delay: MINUTE }).await.unwrap();
        app.drain().await.unwrap();
        let found = app.queue().unwrap().jobs().get(job.id().unwrap()).await.unwrap().unwrap();
        assert_eq!((<&str>::from(found.job.state), found.last_error.as_deref()), (state, error), "{how}");
        assert_eq!(found.result, None);
    }
}

#[tokio::test]
async fn a_result_is_waited_for_and_typed() {
    let app = app().job(add).job(end).test().await.unwrap();
    let sum = app.enqueue(Add { a: 2, b: 3 });
    let (sum, drained) = tokio::join!(sum.wait::<i64>(MINUTE), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        app.drain().await
    });
    assert_eq!((sum.unwrap(), drained.unwrap().completed), (5, 1));

    let job = app.enqueue(Add { a: 2, b: 3 }).await.unwrap();
    let early = job.wait::<i64>(Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(early, WaitError::Timeout { .. }), "{early}");
    app.drain().await.unwrap();
    let wrong = job.wait::<String>(MINUTE).await.unwrap_err();
    assert!(matches!(wrong, WaitError::Result { .. }), "{wrong}");
    job.wait::<()>(MINUTE).await.unwrap();

    let job = app.enqueue(End::by("discard")).await.unwrap();
    app.drain().await.unwrap();
    let failed = job.wait::<()>(MINUTE).await.unwrap_err();
    assert!(matches!(failed, WaitError::Failed { state: JobState::Dead, .. }), "{failed}");
    assert!(failed.to_string().ends_with("is dead: never"), "{failed}");
}

#[derive(Serialize, Deserialize, Job)]
struct Long {
    bytes: usize,
}

async fn long(job: Long) -> Result<String, JobError> {
    Ok("x".repeat(job.bytes))
}

#[tokio::test]
async fn a_result_that_is_too_large_is_said_and_not_tried_again() {
    let app = app().job(long).test().await.unwrap();
    let small = app.enqueue(Long { bytes: 16_000 }).await.unwrap();
    let large = app.enqueue(Long { bytes: 20_000 }).await.unwrap();
    app.drain().await.unwrap();
    assert_eq!(small.wait::<String>(MINUTE).await.unwrap().len(), 16_000);
    let error = large.wait::<String>(MINUTE).await.unwrap_err().to_string();
    assert!(error.contains("is dead: the handler of `long` ended well") && error.contains("20002 bytes"), "{error}");
}

#[tokio::test]
async fn what_a_handler_enqueues_runs_too() {
    async fn first(_: End, client: Client) -> Result<(), gristmill::Error> {
        client.enqueue(Add { a: 1, b: 1 }).await?;
        client.enqueue_all([Add { a: 1, b: 2 }, Add { a: 1, b: 3 }]).await?;
        Ok(())
    }
    let app = app().job(first).job(add).test().await.unwrap();
    app.enqueue(End::by("first")).await.unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 4);
}

#[tokio::test]
async fn a_timeout_of_ones_own() {
    async fn slow(_: End) {
        std::future::pending().await
    }
    let app = app().job_with(slow, |job| job.timeout(Duration::from_millis(100))).test().await.unwrap();
    let job = app.enqueue(End::by("slow")).max_attempts(1).await.unwrap();
    app.drain().await.unwrap();
    let error = job.wait::<()>(MINUTE).await.unwrap_err().to_string();
    assert!(error.ends_with("is dead: timed out after 100ms"), "{error}");
}
