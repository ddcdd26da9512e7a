//! What an application with keys keeps in its engines, and what it does without them.

use std::time::Duration;

use gristmill::{JobState, WaitError, prelude::*, queue::Encryption};

use crate::support::app;

const MARK: &str = "only-ana-may-read-this";

#[derive(Serialize, Deserialize, Job)]
#[job(name = "customer.greet")]
struct Greet {
    name: String,
}

#[derive(Serialize, Deserialize, Job)]
struct Count {
    n: i64,
}

async fn greet(job: Greet) -> Result<String, JobError> {
    Ok(format!("hello, {}", job.name))
}

async fn count(job: Count) -> Result<i64, JobError> {
    Ok(job.n)
}

fn keys() -> Encryption {
    Encryption::new("2026-11", &[7; 32]).unwrap()
}

#[tokio::test]
async fn it_keeps_payloads_and_results_encrypted_and_reads_them() {
    let minute = Duration::from_secs(60);
    let app = app().codec(keys().except(["count"])).job(greet).job(count).test().await.unwrap();
    let id = app.enqueue(Greet { name: MARK.into() }).await.unwrap().id().unwrap();
    let plain = app.enqueue(Count { n: 7 }).await.unwrap().id().unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 2);
    assert_eq!(app.wait::<String>(id, minute).await.unwrap(), format!("hello, {MARK}"));
    assert_eq!(app.wait::<i64>(plain, minute).await.unwrap(), 7);
    let (encrypted, readable): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where payload ? '$encrypted' and result->'$encrypted'->>'key' = '2026-11'),
                count(*) filter (where payload::text || result::text like '%only%')
         from gristmill.jobs",
    )
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert_eq!((encrypted, readable), (1, 0));

    // Another process of it, without the key.
    let mut settings = app.settings().clone();
    settings.codec = None;
    let without = App::new(settings).job(greet).connect().await.unwrap();
    let error = without.wait::<String>(id, minute).await.unwrap_err();
    assert!(matches!(&error, WaitError::App(_)), "{error:?}");
    without.wait::<i64>(plain, minute).await.unwrap();
    assert_eq!(without.queue().unwrap().jobs().state(id).await.unwrap(), Some(JobState::Completed));
}
