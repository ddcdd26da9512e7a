//! Workers elsewhere hold no keys: the server that they talk to does.

use std::time::Duration;

use gristmill_queue::{
    Options,
    remote::{RemoteFailure, RemoteReport, RemoteStep},
};
use serde_json::{Value, json};

use super::{MARK, found, secret, test_with_keys, with_keys};
use crate::{
    remote::Elsewhere,
    support::{LONG, sweep, until},
};

const SOON: Duration = Duration::from_secs(10);

fn text(value: &Value) -> String {
    value.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_elsewhere_is_given_and_gives_what_is_plain() {
    let test = test_with_keys(&["a"]).await;
    let sweeper = sweep(&test.queue);
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let id = test.enqueue(&[secret("elsewhere")], &Options::default()).await[0];
    let jobs = elsewhere.claim_from("default", &["secret"], 4, SOON).await;
    let given: Value = serde_json::from_str(jobs[0].payload.get()).unwrap();
    assert_eq!((jobs[0].ticket.id, given), (id, json!(secret("elsewhere"))));

    let ticket = jobs[0].ticket;
    let step = RemoteStep { ticket, name: "say".into(), result: text(&json!(MARK)) };
    let mut failed = RemoteFailure::new(ticket, "once more");
    failed.retry_in = Some(Duration::ZERO);
    let report = RemoteReport {
        steps: vec![step],
        cursors: vec![(ticket, text(&json!({ "at": MARK })))],
        failed: vec![failed],
        ..RemoteReport::default()
    };
    assert!(elsewhere.report(report).await.refused.is_empty());
    assert!(test.queue.signal(id, "go", &json!(MARK)).await.unwrap());
    assert_eq!(found(&test, MARK).await, [""; 0]);

    let jobs = elsewhere.claim_from("default", &["secret"], 4, LONG).await;
    let resume = &jobs[0].resume;
    assert_eq!(resume.steps["say"].get(), text(&json!(MARK)));
    assert_eq!(resume.cursor.as_ref().unwrap().get(), text(&json!({ "at": MARK })));
    let long = vec![(jobs[0].ticket, text(&json!("x".repeat(13 * 1_024))))];
    let refused = elsewhere
        .report(RemoteReport { held: vec![jobs[0].ticket], cursors: long, ..RemoteReport::default() })
        .await
        .refused;
    assert!(refused[0].1.contains("bytes when it is encrypted is too large"), "{refused:?}");
    let done = vec![(jobs[0].ticket, Some(text(&json!({ "said": MARK }))))];
    elsewhere.report(RemoteReport { done, ..RemoteReport::default() }).await;
    assert_eq!(test.state(id).await.0, "completed");
    assert_eq!(found(&test, MARK).await, [""; 0]);
    let outcome = test.queue.jobs().outcome(id).await.unwrap().unwrap();
    assert_eq!(outcome.result, Some(json!({ "said": MARK })));
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_key_leaves_the_job_to_one_that_has_it() {
    let test = test_with_keys(&["a"]).await;
    let id = test.enqueue(&[secret("elsewhere")], &Options::default()).await[0];
    let without = Elsewhere::new(&with_keys(&test, &["b"]).await, "py-1");
    until("it to be parked", LONG, || async {
        assert!(without.claim_from("default", &["secret"], 4, Duration::from_millis(500)).await.is_empty());
        test.state(id).await.0 == "parked"
    })
    .await;
    let (_, attempts, error) = test.state(id).await;
    assert!(attempts == 0 && error.unwrap().starts_with("the payload is encrypted with key `a`, which this process"));
    let with = Elsewhere::new(&test.queue, "py-2");
    let jobs = with.claim_from("default", &["secret"], 4, LONG).await;
    assert_eq!((jobs[0].ticket.id, jobs[0].attempt), (id, 1));
    with.done(&[jobs[0].ticket]).await;
    assert_eq!(test.state(id).await.0, "completed");

    // What was changed is given to nobody.
    let id = test.enqueue_and_die(&[secret("changed")]).await[0];
    sqlx::query("update gristmill.jobs set name = 'confidential' where id = $1")
        .bind(id)
        .execute(&test.pool)
        .await
        .unwrap();
    let sweeper = sweep(&test.queue);
    until("it to be parked", LONG, || async {
        assert!(
            with.claim_from("default", &["secret", "confidential"], 4, Duration::from_millis(500)).await.is_empty()
        );
        test.state(id).await.0 == "parked"
    })
    .await;
    assert!(test.state(id).await.2.unwrap().contains("cannot be decrypted"));
    sweeper.stop().await;
}
