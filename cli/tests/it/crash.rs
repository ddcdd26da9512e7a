//! Processes die in the middle of a file. Nobody restarts anything by hand, and the counts end exact.

use object_store::ObjectStoreExt;
use serde_json::Value;

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_chunks_run_elsewhere() {
    let harness = Harness::new().await;
    let (_api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let id = harness.send().await;
    let mut first = harness.start("worker");
    harness.half_done(&id).await;
    let _second = harness.start("worker");
    first.kill();
    harness.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_and_doubles_nothing() {
    let harness = Harness::new().await;
    let (_api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let mut workers = [harness.start("worker"), harness.start("worker")];
    harness.until_workers(workers.len()).await;
    let id = harness.send().await;
    harness.half_done(&id).await;
    for worker in &mut workers {
        let mut old = std::mem::replace(worker, harness.start("worker"));
        assert!(old.terminate().success(), "a worker that was asked to stop failed");
    }
    harness.exact(&id).await;
    // What a worker held when it was asked to stop, it finished or gave back: no lease had to run out for it.
    harness.until_true("select not exists(select from gristmill.jobs where state = 'dead' or attempt > 0)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_only_chunk_is_loaded_elsewhere() {
    let harness = Harness::with(100).await;
    let (_api, _scheduler, mut first) =
        (harness.start_api().await, harness.start("scheduler"), harness.start("worker"));
    // The worker stands before the segment with the file's only chunk.
    let mut barrier = harness.stack.pool.begin().await.unwrap();
    let lock = "select format('lock table debts_%s in share mode', id) from row_segments
                where table_name = 'debts' and state = 'open'";
    let lock: String = sqlx::query_scalar(lock).fetch_one(&mut *barrier).await.unwrap();
    sqlx::raw_sql(&lock).execute(&mut *barrier).await.unwrap();
    let id = harness.send().await;
    harness
        .until_true(
            "select exists(select from pg_locks where relation::regclass::text like 'debts\\_%' and not granted)",
        )
        .await;
    let _second = harness.start("worker");
    first.kill();
    barrier.rollback().await.unwrap();
    harness.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_api_is_killed_fails_and_leaves_nothing() {
    let harness = Harness::new().await;
    let (mut api, _scheduler, _worker) =
        (harness.start_api().await, harness.start("scheduler"), harness.start("worker"));
    let _line = harness.send_half().await;
    harness.until_true("select exists(select from upload_progress where loaded > 0)").await;
    api.kill();
    let _api = harness.start_api().await;
    let id: uuid::Uuid = sqlx::query_scalar("select id from uploads").fetch_one(&harness.stack.pool).await.unwrap();
    let upload = harness.until(&id.to_string(), |upload| upload["state"] != "receiving").await;
    assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("incomplete")));
    harness.nothing_stays().await;
    let again = harness.send().await;
    harness.exact(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_killed_after_its_answer_is_not_missed() {
    let harness = Harness::new().await;
    let (mut api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let id = harness.send().await;
    api.kill();
    let _worker = harness.start("worker");
    harness.until_true("select state <> 'processing' from uploads").await;
    let _api = harness.start_api().await;
    harness.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_cannot_be_loaded_fails_its_upload_and_nothing_stays() {
    let harness = Harness::new().await;
    let (_api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let id = harness.send().await;
    // Its last chunk, so that others are loaded before.
    let last = harness.count("select max(no)::bigint from chunks").await;
    let object = gristmill_uploads::objects::chunk(id.parse().unwrap(), last.try_into().unwrap());
    assert!(harness.objects().await.contains(&object), "{:?}", harness.objects().await);
    harness.stack.store.put(&object, "not what was sent".into()).await.unwrap();
    harness.count("with u as (update gristmill.jobs set max_attempts = 1 returning 1) select count(*) from u").await;
    let _worker = harness.start("worker");
    let upload = harness.until(&id, |upload| upload["state"] != "processing").await;
    assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("chunk_failed")));
    assert!(upload["chunks"]["done"].as_i64().unwrap() > 0, "nothing was loaded that could have stayed");
    harness.nothing_stays().await;
    assert_eq!(
        harness.count("select count(*) from gristmill.jobs where state = 'dead'").await,
        1,
        "kept with its error"
    );
}
