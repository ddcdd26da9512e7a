//! Processes die in the middle of a file. Nobody restarts anything by hand, and the counts end exact.

use object_store::ObjectStoreExt;
use serde_json::Value;

use crate::mill::Mill;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_chunks_run_elsewhere() {
    let mill = Mill::new().await;
    let (_api, _scheduler) = (mill.start_api().await, mill.start("scheduler"));
    let (mut first, _second) = (mill.start("worker"), mill.start("worker"));
    let id = mill.send().await;
    mill.half_done(&id).await;
    first.kill();
    mill.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_and_doubles_nothing() {
    let mill = Mill::new().await;
    let (_api, _scheduler) = (mill.start_api().await, mill.start("scheduler"));
    let mut workers = [mill.start("worker"), mill.start("worker")];
    let id = mill.send().await;
    mill.half_done(&id).await;
    for worker in &mut workers {
        let mut old = std::mem::replace(worker, mill.start("worker"));
        assert!(old.terminate().success(), "a worker that was asked to stop failed");
    }
    mill.exact(&id).await;
    // What a worker held when it was asked to stop, it finished or gave back: no lease had to run out for it.
    mill.until_true("select not exists(select from jobs where state = 'dead' or attempt > 0)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_only_chunk_is_loaded_elsewhere() {
    let mill = Mill::with(100).await;
    let (_api, _scheduler, mut first) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    // The worker stands before the table with the file's only chunk.
    let mut barrier = mill.stack.pool.begin().await.unwrap();
    sqlx::query("lock table debts in share mode").execute(&mut *barrier).await.unwrap();
    let id = mill.send().await;
    mill.until_true("select exists(select from pg_locks where relation = 'debts'::regclass and not granted)").await;
    let _second = mill.start("worker");
    first.kill();
    barrier.rollback().await.unwrap();
    mill.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_api_is_killed_fails_and_leaves_nothing() {
    let mill = Mill::new().await;
    let (mut api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let _line = mill.send_half().await;
    mill.until_true("select exists(select from debts)").await;
    api.kill();
    let _api = mill.start_api().await;
    let id: uuid::Uuid = sqlx::query_scalar("select id from uploads").fetch_one(&mill.stack.pool).await.unwrap();
    let upload = mill.until(&id.to_string(), |upload| upload["state"] != "receiving").await;
    assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("incomplete")));
    mill.nothing_stays().await;
    let again = mill.send().await;
    mill.exact(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_killed_after_its_answer_is_not_missed() {
    let mill = Mill::new().await;
    let (mut api, _scheduler) = (mill.start_api().await, mill.start("scheduler"));
    let id = mill.send().await;
    api.kill();
    let _worker = mill.start("worker");
    mill.until_true("select state <> 'processing' from uploads").await;
    let _api = mill.start_api().await;
    mill.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_cannot_be_loaded_fails_its_upload_and_nothing_stays() {
    let mill = Mill::new().await;
    let (_api, _scheduler) = (mill.start_api().await, mill.start("scheduler"));
    let id = mill.send().await;
    // Its last chunk, so that others are loaded before.
    let last = mill.count("select max(no)::bigint from chunks").await;
    let object = gristmill_uploads::objects::chunk(id.parse().unwrap(), last.try_into().unwrap());
    assert!(mill.objects().await.contains(&object), "{:?}", mill.objects().await);
    mill.stack.store.put(&object, "not what was sent".into()).await.unwrap();
    mill.count("with u as (update jobs set max_attempts = 1 returning 1) select count(*) from u").await;
    let _worker = mill.start("worker");
    let upload = mill.until(&id, |upload| upload["state"] != "processing").await;
    assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("chunk_failed")));
    assert!(upload["chunks"]["done"].as_i64().unwrap() > 0, "nothing was loaded that could have stayed");
    mill.nothing_stays().await;
    assert_eq!(mill.count("select count(*) from jobs where state = 'dead'").await, 1, "kept with its error");
}
