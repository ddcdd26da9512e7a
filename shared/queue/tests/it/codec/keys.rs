//! Workers of different keys at one queue: who lacks a key leaves the job to who has it, and no attempt is lost.

use gristmill_queue::{ChangeError, JobChange, JobId, JobState, Options, Queue, QueueError, Worker};
use serde_json::{Value, json};

use super::{MARK, Secret, Seen, builder, found, saw, secret, test_with_keys, with_keys};
use crate::support::{Background, LONG, TestQueue, config, sweep, until, work};

async fn parked(test: &TestQueue, id: JobId) -> String {
    until("it to be parked", LONG, || async { test.state(id).await.0 == "parked" }).await;
    let (_, attempts, error) = test.state(id).await;
    assert_eq!(attempts, 0, "it costs no attempt");
    error.unwrap()
}

async fn worker(test: &TestQueue, keys: &[&str], seen: &Seen) -> Background {
    work(&builder(&with_keys(test, keys).await, seen).build())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_the_key_parks_the_job_and_who_has_it_runs_it() {
    let test = test_with_keys(&["2026-11"]).await;
    let seen = Seen::default();
    let id = test.enqueue(&[secret("sealed")], &Options::default()).await[0];
    // It knows the job, and would run it by what stands in the ledger.
    let without = {
        let queue = Queue::connect(test.pool.clone(), config(&test.stack)).await.unwrap();
        work(&Worker::builder(&queue).queue("default", 2).register_with(&seen, super::body).build())
    };
    assert_eq!(
        parked(&test, id).await,
        "the payload is encrypted with key `2026-11`, which this process does not have: give it the key (GRISTMILL_PAYLOAD_KEYS)"
    );
    let other = worker(&test, &["x"], &seen).await;
    let plain = json!(secret("plain"));
    sqlx::query("select gristmill.enqueue('secret', $1)").bind(&plain).execute(&test.pool).await.unwrap();
    let sweeper = sweep(&test.queue);
    until("what is plain", LONG, || async { saw(&seen, &["plain"]) }).await;
    assert_eq!(test.state(id).await.0, "parked", "another key is none");
    let with = worker(&test, &["y", "2026-11"], &seen).await;
    until("it to run", LONG, || async { saw(&seen, &["sealed"]) }).await;
    until("its end", LONG, || async { test.state(id).await.0 == "completed" }).await;
    let history = "select count(*) from gristmill.job_attempts where outcome <> 'lost_worker'";
    assert_eq!(test.count(history).await, 1, "it was parked once");
    for background in [without, other, with, sweeper] {
        background.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_keys_puts_nothing_plain_in_the_place_of_what_is_encrypted() {
    let test = test_with_keys(&["a"]).await;
    let later = Options { delay: Some(LONG), ..Options::default() };
    let id = test.enqueue(&[secret("sealed")], &later).await[0];
    let without = Queue::connect(test.pool.clone(), config(&test.stack)).await.unwrap();
    let change = JobChange { payload: Some(json!(secret("open"))), ..JobChange::default() };
    let error = without.jobs().change(id, &change).await.unwrap_err();
    assert!(error.to_string().contains("is encrypted with key `a`, and this process has no keys"), "{error}");
    let urgent = JobChange { priority: Some(1), ..JobChange::default() };
    assert_eq!(without.jobs().change(id, &urgent).await.unwrap().job.priority, 1);
    assert!(matches!(error, ChangeError::Encrypted { .. }));
    assert_eq!(found(&test, MARK).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_keys_leave_each_other_their_jobs() {
    let test = test_with_keys(&["a"]).await;
    let (of_a, of_b) = (Seen::default(), Seen::default());
    let (first, second) = (worker(&test, &["a"], &of_a).await, worker(&test, &["b"], &of_b).await);
    until("them to be heard of", LONG, || async { test.queue.workers().await.unwrap().len() == 2 }).await;
    let ways: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let jobs: Vec<Secret> = ways.iter().map(|way| secret(way)).collect();
    test.enqueue(&jobs, &Options::default()).await;
    let other = with_keys(&test, &["b"]).await;
    let mut conn = test.pool.acquire().await.unwrap();
    other.push(other.enqueue_all(&mut conn, &jobs, &Options::default()).await.unwrap()).await;
    let ways: Vec<&str> = ways.iter().map(String::as_str).collect();
    until("all of them", LONG, || async { saw(&of_a, &ways) && saw(&of_b, &ways) }).await;
    let history = "select count(*) from gristmill.job_attempts where outcome <> 'lost_worker'";
    assert_eq!(test.count(history).await, 0, "none was parked, and none has failed");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_encrypts_and_the_old_one_is_read() {
    let test = test_with_keys(&["old"]).await;
    let waits = test.enqueue(&[secret("before")], &Options::default()).await[0];
    let rotated = with_keys(&test, &["new", "old"]).await;
    let mut conn = test.pool.acquire().await.unwrap();
    let enqueued = rotated.enqueue(&mut conn, &secret("after"), &Options::default()).await.unwrap();
    let comes = enqueued.ids()[0];
    rotated.push(enqueued).await;
    let keys = || async {
        let sql = "select payload->'$encrypted'->>'key' from gristmill.jobs order by id";
        sqlx::query_scalar::<_, String>(sql).fetch_all(&test.pool).await.unwrap()
    };
    assert_eq!(keys().await, ["old", "new"]);
    let seen = Seen::default();
    let worker = work(&builder(&rotated, &seen).build());
    until("both", LONG, || async { saw(&seen, &["before", "after"]) }).await;
    until("their ends", LONG, || async {
        test.state(waits).await.0 == "completed" && test.state(comes).await.0 == "completed"
    })
    .await;
    // Results are of the new key, which the process of the old one does not have.
    let error = test.queue.jobs().outcome(waits).await.unwrap_err();
    assert!(matches!(&error, QueueError::Codec(_)) && error.to_string().contains("with key `new`"), "{error}");
    assert_eq!(test.queue.jobs().state(waits).await.unwrap(), Some(JobState::Completed));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_moved_to_another_job_is_parked() {
    let test = test_with_keys(&["a"]).await;
    let ids = test.enqueue_and_die(&[secret("changed"), secret("moved"), secret("well")]).await;
    let kept: Value = sqlx::query_scalar("select payload from gristmill.jobs where id = $1")
        .bind(ids[0])
        .fetch_one(&test.pool)
        .await
        .unwrap();
    let data = kept["$encrypted"]["data"].as_str().unwrap();
    let changed = format!("{}{}", if data.starts_with('A') { 'B' } else { 'A' }, &data[1..]);
    sqlx::query("update gristmill.jobs set payload = $2 where id = $1")
        .bind(ids[0])
        .bind(json!({ "$encrypted": { "key": "a", "data": changed } }))
        .execute(&test.pool)
        .await
        .unwrap();
    sqlx::query("update gristmill.jobs set name = 'confidential' where id = $1")
        .bind(ids[1])
        .execute(&test.pool)
        .await
        .unwrap();
    let seen = Seen::default();
    let (worker, sweeper) = (worker(&test, &["a"], &seen).await, sweep(&test.queue));
    for id in &ids[..2] {
        let why = parked(&test, *id).await;
        assert_eq!(
            why,
            "the payload is encrypted with key `a` and cannot be decrypted: it was changed, is another job's, or another key had this id"
        );
    }
    until("the other one", LONG, || async { saw(&seen, &["well"]) }).await;
    assert!(!saw(&seen, &["moved"]) && !saw(&seen, &["changed"]));
    worker.stop().await;
    sweeper.stop().await;
}
