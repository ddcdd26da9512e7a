//! An effect and the end of its job are one transaction.

use std::time::Duration;

use gristmill::{Attempt, AttemptService, TestApp, WaitError, prelude::*};
use tower::{Service, ServiceExt as _};

use crate::support::{Add, add, app};

type Source = Box<dyn std::error::Error + Send + Sync>;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(max_attempts = 2)]
struct Pay {
    n: i64,
    how: String,
}

impl Pay {
    fn by(how: &str) -> Self {
        Self { n: 7, how: how.to_owned() }
    }
}

async fn pay(job: Pay, mut tx: Tx, client: Client, context: Context) -> Result<i64, JobError> {
    sqlx::query("insert into paid (job, n) values ($1, $2)")
        .bind(context.claim.id)
        .bind(job.n)
        .execute(&mut *tx)
        .await?;
    client.enqueue(Add { a: job.n, b: 1 }).in_(&mut tx).await?;
    match &*job.how {
        "well" => Ok(job.n),
        "fail" => Err(JobError::retry("no luck")),
        "panic" => panic!("oh dear"),
        "keep" => {
            tokio::spawn(async move {
                // It has the row of the job, which is failed after that.
                tokio::time::sleep(Duration::from_secs(3)).await;
                drop(tx);
            });
            Ok(job.n)
        }
        "refused" => {
            // The transaction cannot be committed after it.
            let _ = sqlx::query("insert into paid (job, n) values ($1, 1 / 0)")
                .bind(context.claim.id)
                .execute(&mut *tx)
                .await;
            Ok(job.n)
        }
        _ => std::future::pending().await,
    }
}

async fn test() -> TestApp {
    let app = app().job(pay).job(add).test().await.unwrap();
    create_paid(&app).await;
    app
}

async fn create_paid(app: &TestApp) {
    sqlx::query("create table paid (job uuid primary key, n bigint not null)").execute(app.pool()).await.unwrap();
}

async fn payments(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from paid").fetch_one(app.pool()).await.unwrap()
}

async fn jobs(app: &TestApp, name: &str) -> usize {
    let filter = gristmill::queue::JobFilter { name: Some(name.to_owned()), ..Default::default() };
    app.queue().unwrap().jobs().list(&filter, None, 100).await.unwrap().jobs.len()
}

#[tokio::test]
async fn it_is_committed_with_the_end_of_the_job() {
    let app = test().await;
    let job = app.enqueue(Pay::by("well")).await.unwrap();
    let drained = app.drain().await.unwrap();
    // With it came what was enqueued in it.
    assert_eq!((payments(&app).await, drained.completed), (1, 2));
    assert_eq!(job.wait::<i64>(MINUTE).await.unwrap(), 7);
}

#[tokio::test]
async fn it_is_rolled_back_with_the_failure_of_the_job() {
    let app = test().await;
    for how in ["fail", "panic", "refused"] {
        let job = app.enqueue(Pay::by(how)).max_attempts(1).await.unwrap();
        app.drain().await.unwrap();
        let failed = job.wait::<i64>(MINUTE).await.unwrap_err();
        assert!(matches!(failed, WaitError::Failed { .. }), "{how}: {failed}");
        assert_eq!((payments(&app).await, jobs(&app, "add").await), (0, 0), "{how}");
    }
}

#[tokio::test]
async fn it_is_rolled_back_by_a_timeout() {
    let app = app().job_with(pay, |job| job.timeout(Duration::from_millis(300))).job(add).test().await.unwrap();
    create_paid(&app).await;
    let job = app.enqueue(Pay::by("hang")).max_attempts(1).await.unwrap();
    app.drain().await.unwrap();
    job.wait::<i64>(MINUTE).await.unwrap_err();
    assert_eq!(payments(&app).await, 0);
}

#[tokio::test]
async fn a_handler_that_keeps_it_has_failed() {
    let app = test().await;
    let job = app.enqueue(Pay::by("keep")).await.unwrap();
    app.drain().await.unwrap();
    let error = job.wait::<i64>(MINUTE).await.unwrap_err().to_string();
    assert!(error.contains("the handler has returned and kept its `Tx`"), "{error}");
}

/// Another run of the job ends it, between the start of this one and its transaction.
fn overtaken(
    inner: AttemptService,
) -> impl Service<Attempt, Response = (), Error = Source, Future: Send> + Clone + Send + Sync {
    tower::service_fn(move |attempt: Attempt| {
        let inner = inner.clone();
        async move {
            let context = attempt.data().get::<Context>().unwrap().clone();
            let mut tx = context.queue.pool().begin().await?;
            let claim = Claim::new(context.claim.id, 9);
            let _ = context.queue.complete(&mut tx, &claim).await?;
            tx.commit().await?;
            inner.oneshot(attempt).await
        }
    })
}

#[tokio::test]
async fn a_job_that_is_done_does_not_reach_its_handler() {
    let app = app().layer(tower::layer::layer_fn(overtaken)).job(pay).job(add).test().await.unwrap();
    create_paid(&app).await;
    let job = app.enqueue(Pay::by("well")).await.unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 1);
    let found = app.queue().unwrap().jobs().get(job.id().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.result, found.attempts.len(), payments(&app).await), (None, 0, 0));
}

#[tokio::test]
async fn a_transaction_of_the_app_pushes_after_its_commit() {
    let app = test().await;
    let mut tx = app.begin().await.unwrap();
    let kept = app.enqueue(Add { a: 1, b: 1 }).in_(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = app.begin().await.unwrap();
    app.enqueue(Add { a: 2, b: 2 }).in_(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(app.queue().unwrap().broker_depth("default").await.unwrap(), (1, 0), "one is there, at once");
    assert_eq!(app.drain().await.unwrap().completed, 1);
    assert_eq!(kept.wait::<i64>(MINUTE).await.unwrap(), 2);
}

#[tokio::test]
async fn a_transaction_of_sqlx_is_pushed_by_its_owner() {
    let app = test().await;
    let mut tx = app.pool().begin().await.unwrap();
    let mut job = app.enqueue(Add { a: 1, b: 1 }).in_(&mut tx).await.unwrap();
    let mut more = app.enqueue_all([Add { a: 1, b: 2 }, Add { a: 1, b: 3 }]).in_(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(app.queue().unwrap().broker_depth("default").await.unwrap(), (0, 0));
    job.push().await;
    more.push().await;
    assert_eq!(app.queue().unwrap().broker_depth("default").await.unwrap(), (3, 0));
    assert_eq!(app.drain().await.unwrap().completed, 3);
}
