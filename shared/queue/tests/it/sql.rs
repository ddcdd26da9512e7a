//! Jobs that are enqueued and completed by SQL, as a trigger or a program in another language does.

use std::time::{Duration, Instant};

use gristmill_queue::{GroupId, GroupPolicy, JobId, JobSpec, NewGroup, Worker};
use serde_json::{Value, json};
use sqlx::{Row as _, postgres::PgDatabaseError};

use super::support::{Effect, LONG, TestQueue, effect, sweep, test_queue, until, work};

async fn run(test: &TestQueue, sql: &str) {
    sqlx::raw_sql(sql).execute(&test.pool).await.unwrap();
}

async fn enqueue_many(test: &TestQueue, jobs: Value) -> Result<Vec<(i64, JobId)>, sqlx::Error> {
    sqlx::query_as("select n, id from gristmill.enqueue_many($1)").bind(jobs).fetch_all(&test.pool).await
}

async fn complete(test: &TestQueue, job: JobId, result: Option<Value>) -> bool {
    sqlx::query_scalar("select gristmill.complete($1, $2)").bind(job).bind(result).fetch_one(&test.pool).await.unwrap()
}

async fn refusal(test: &TestQueue, jobs: Value) -> String {
    let error = enqueue_many(test, jobs).await.unwrap_err();
    error.into_database_error().unwrap().downcast::<PgDatabaseError>().message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_enqueues_in_the_transaction_of_its_row() {
    let test = test_queue().await;
    run(
        &test,
        "create table orders (n bigint primary key);
         create function ordered() returns trigger language plpgsql as $$ begin
             perform gristmill.enqueue('effect', jsonb_build_object('n', new.n)); return new; end $$;
         create trigger ordered after insert on orders for each row execute function ordered();",
    )
    .await;
    let (_worker, _sweeper) = (work(&test.effect_worker(4)), sweep(&test.queue));
    let mut lost = test.pool.begin().await.unwrap();
    sqlx::query("insert into orders values (1)").execute(&mut *lost).await.unwrap();
    lost.rollback().await.unwrap();
    run(&test, "insert into orders select generate_series(2, 4)").await;
    until("the orders' jobs", LONG, || async { test.effects().await == (3, 3) }).await;
    assert_eq!(test.count("select count(*) from effects where n = 1").await, 0, "no row, no job");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_an_idle_queue_starts_at_once_after_the_commit() {
    let test = test_queue().await;
    let (_worker, _sweeper) = (work(&test.effect_worker(4)), sweep(&test.queue));
    // the listener is there when a first one got through quickly
    let mut fastest = Duration::MAX;
    for n in 1..=20 {
        let started = Instant::now();
        sqlx::query("select gristmill.enqueue('effect', jsonb_build_object('n', $1::bigint))")
            .bind(n)
            .execute(&test.pool)
            .await
            .unwrap();
        until("the job", LONG, || async { test.effects().await == (n, n) }).await;
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < Duration::from_millis(250), "the sweep looks twice a second by itself: {fastest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_enqueued_by_one_call_with_all_that_a_job_may_have() {
    let test = test_queue().await;
    let jobs = json!([
        { "name": "effect" },
        { "name": "effect", "payload": { "n": 2 }, "queue": "mail", "priority": 0, "max_attempts": 3, "delay": 90, "timeout": 1.5,
          "expires_in": 60, "retain": 3600, "backoff": { "type": "fixed", "delay_ms": 250 }, "unique_key": "u", "fair_key": "shop-7",
          "tags": ["a", "b"], "client_id": 9, "trace_parent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
        { "name": "effect", "unique_key": "u" },
    ]);
    let enqueued = enqueue_many(&test, jobs).await.unwrap();
    assert_eq!(enqueued.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2], "the third one's key is taken");
    assert!(enqueued.iter().all(|(_, id)| id.get().get_version_num() == 7));
    let row = sqlx::query(
        "select queue, priority, max_attempts, run_at > now() + interval '80 s' as late, timeout_ms, retain_seconds, fair_key, tags,
                expires_at - run_at = interval '60 s' as expires, backoff, client_id, state
         from gristmill.jobs where id = $1",
    )
    .bind(enqueued[1].1)
    .fetch_one(&test.pool)
    .await
    .unwrap();
    let number = |name: &str| row.get::<i32, _>(name);
    assert_eq!(
        (number("max_attempts"), number("timeout_ms"), number("retain_seconds"), number("client_id")),
        (3, 1_500, 3_600, 9)
    );
    assert_eq!(
        (row.get::<&str, _>("queue"), row.get::<&str, _>("fair_key"), row.get::<&str, _>("state")),
        ("mail", "shop-7", "scheduled")
    );
    assert!(row.get::<bool, _>("late") && row.get::<bool, _>("expires"));
    assert_eq!(row.get::<Vec<String>, _>("tags"), ["a", "b"]);
    assert_eq!(row.get::<Value, _>("backoff"), json!({ "type": "fixed", "delay_ms": 250 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_enqueued_is_said_with_its_place() {
    let test = test_queue().await;
    let group = GroupId::from(uuid::Uuid::now_v7());
    for (jobs, said) in [
        (json!({ "name": "x" }), "takes an array of jobs, and this is object"),
        (json!([{ "name": "x" }, 3]), "job 2 of 2 is no object"),
        (json!([{ "payload": {} }]), "job 1 of 1 has no name"),
        (json!([{ "name": "x", "queue": "" }]), "job 1 of 1 has an empty queue"),
        (json!([{ "name": "x", "prio": 1, "delay": 2 }]), "job 1 of 1 has what no job has: prio"),
        (json!([{ "name": "x", "payload": "y".repeat(300_000) }]), "job 1 of 1 has a payload of 300002 bytes"),
        (json!([{ "name": "x", "group": group }]), "takes no more members"),
    ] {
        let refused = refusal(&test, jobs.clone()).await;
        assert!(refused.contains(said), "{jobs}: {refused}");
    }
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_completed_once_in_the_transaction_of_its_effect() {
    let test = test_queue().await;
    let id = enqueue_many(&test, json!([{ "name": "elsewhere" }])).await.unwrap()[0].1;
    assert!(!complete(&test, id, None).await, "it is scheduled: nobody runs it yet");
    run(&test, "update gristmill.jobs set state = 'available'").await;
    let mut first = test.pool.begin().await.unwrap();
    let held: bool = sqlx::query_scalar("select gristmill.complete($1, $2)")
        .bind(id)
        .bind(json!({ "sum": 7 }))
        .fetch_one(&mut *first)
        .await
        .unwrap();
    assert!(held);
    let second = {
        let pool = test.pool.clone();
        tokio::spawn(async move {
            sqlx::query_scalar::<_, bool>("select gristmill.complete($1)").bind(id).fetch_one(&pool).await.unwrap()
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished(), "the second run waits for the first one's transaction");
    first.commit().await.unwrap();
    assert!(!second.await.unwrap(), "and has no effect");
    assert_eq!(test.count("select (result->>'sum')::bigint from gristmill.jobs where state = 'completed'").await, 7);
    let error = sqlx::query("select gristmill.complete($1, $2)")
        .bind(id)
        .bind(json!("x".repeat(20_000)))
        .execute(&test.pool)
        .await;
    assert!(error.unwrap_err().to_string().contains("a result of 20002 bytes is too large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_end_whoever_completes_their_last_member() {
    let test = test_queue().await;
    let mut tx = test.pool.begin().await.unwrap();
    let join = |n| Some(JobSpec::of(&Effect::new(n)).unwrap());
    let outer = NewGroup { on_complete: join(1), ..NewGroup::new(GroupPolicy::Continue) };
    let outer = test.queue.create_group(&mut tx, outer).await.unwrap();
    let inner = NewGroup { on_complete: join(2), parent: Some(outer), ..NewGroup::new(GroupPolicy::Continue) };
    let inner = test.queue.create_group(&mut tx, inner).await.unwrap();
    assert!(test.queue.seal_group(&mut tx, outer).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    let members = json!([{ "name": "elsewhere", "group": inner }, { "name": "elsewhere", "group": inner }]);
    let members = enqueue_many(&test, members).await.unwrap();
    assert!(test.queue.seal_group(&mut test.pool.acquire().await.unwrap(), inner).await.unwrap().is_empty());
    run(&test, "update gristmill.jobs set state = 'available'").await;

    let worker = Worker::builder(&test.queue).queue("default", 2).register(effect).build();
    let (_worker, _sweeper) = (work(&worker), sweep(&test.queue));
    for (_, id) in &members {
        assert!(complete(&test, *id, None).await);
    }
    until("both joins", LONG, || async { test.count("select coalesce(sum(n), 0)::bigint from effects").await == 3 })
        .await;
    assert_eq!(
        test.count("select count(*) from gristmill.groups where state = 'completed' and completed = total").await,
        2
    );
    assert_eq!(test.count("select count(*) from gristmill.groups_to_close").await, 0);
}
