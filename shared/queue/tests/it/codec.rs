//! Payloads, results and steps that are encrypted: whichever way they come in, nothing of them stands in an engine as it is.

mod keys;
mod remote;

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill_queue::{
    Completion, Context, Encryption, Flow, GroupPolicy, Job, JobChange, JobError, JobId, JobSpec, NewGroup, NewJob,
    NewSchedule, Options, PayloadError, Queue, QueueConfig, QueueError, Stage, UniqueMode, Worker, WorkerBuilder,
    encryption_key,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    broker_state::on_postgres,
    support::{LONG, TestQueue, config, sweep, test_queue, until, work},
};

/// What no engine may have.
pub(super) const MARK: &str = "only-ana-may-read-this";

/// A codec with these keys, the first of which encrypts.
pub(super) fn ring(ids: &[&str]) -> Encryption {
    let key = |id: &str| [id.as_bytes()[0]; 32];
    let first = Encryption::new(ids[0], &key(ids[0])).unwrap();
    ids[1..].iter().fold(first, |ring, id| ring.and(*id, &key(id)).unwrap())
}

/// The queue of the test for a process with these keys.
pub(super) async fn with_keys(test: &TestQueue, ids: &[&str]) -> Queue {
    let config = QueueConfig { codec: Some(Arc::new(ring(ids))), ..config(&test.stack) };
    Queue::connect(test.pool.clone(), config).await.unwrap()
}

/// A queue with these keys for all that the test enqueues.
pub(super) async fn test_with_keys(ids: &[&str]) -> TestQueue {
    let mut test = test_queue().await;
    test.queue = with_keys(&test, ids).await;
    test
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Secret {
    /// By which it came in.
    pub(super) way: String,
    text: String,
}

impl Job for Secret {
    const NAME: &'static str = "secret";
    const ALIASES: &'static [&'static str] = &["confidential"];
}

pub(super) fn secret(way: &str) -> Secret {
    Secret { way: way.into(), text: MARK.into() }
}

/// Ways that bodies have seen.
pub(super) type Seen = Arc<Mutex<BTreeSet<String>>>;

pub(super) fn saw(seen: &Seen, ways: &[&str]) -> bool {
    let seen = seen.lock().unwrap();
    ways.iter().all(|way| seen.contains(*way))
}

pub(super) fn builder(queue: &Queue, seen: &Seen) -> WorkerBuilder {
    Worker::builder(queue).queue("default", 4).register_with(seen, body)
}

async fn body(seen: Seen, ctx: Context, job: Secret) -> Result<(), JobError> {
    assert_eq!(job.text, MARK);
    match job.way.as_str() {
        "dies" => return Err(JobError::discard("it dies")),
        "makes room" => {
            let mut tx = ctx.queue.pool().begin().await?;
            if let Completion::Done(jobs) = ctx.queue.replace(&mut tx, &ctx.claim, &[secret("in its place")]).await? {
                tx.commit().await?;
                ctx.queue.push(jobs).await;
            }
        }
        "steps" => {
            let told = ctx.step("say", || async { Ok::<_, io::Error>(MARK.to_owned()) }).await?;
            let cursor: Option<String> = ctx.cursor().await?;
            ctx.save_cursor(&MARK).await?;
            let signal: Option<Secret> = ctx.wait_for("go", LONG).await?;
            assert_eq!((told.as_str(), signal), (MARK, Some(secret("signal"))));
            if cursor.is_none() {
                return Err(JobError::RetryAfter(Duration::ZERO, "once more".into()));
            }
            assert_eq!(cursor.as_deref(), Some(MARK));
        }
        "join" | "report" => {
            let members = ctx.members::<Secret>(None, 100).await?;
            assert!(!members.is_empty() && members.iter().all(|member| member.result.is_some()), "{members:?}");
        }
        _ => {}
    }
    ctx.set_result(&job)?;
    seen.lock().unwrap().insert(job.way);
    Ok(())
}

/// The tables in which a text stands, as it is or as bytes, and the keys of Redis.
pub(super) async fn found(test: &TestQueue, text: &str) -> Vec<String> {
    let tables: Vec<String> =
        sqlx::query_scalar("select table_name::text from information_schema.tables where table_schema = 'gristmill'")
            .fetch_all(&test.pool)
            .await
            .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("select count(*) from gristmill.{table} t where t::text like $1 or t::text like $2");
        let rows: i64 = sqlx::query_scalar(&sql)
            .bind(format!("%{text}%"))
            .bind(format!("%{hex}%"))
            .fetch_one(&test.pool)
            .await
            .unwrap();
        if rows > 0 {
            found.push(table);
        }
    }
    if !on_postgres() {
        found.extend(in_redis(test, text).await);
    }
    found
}

async fn in_redis(test: &TestQueue, text: &str) -> Vec<String> {
    let mut redis = test.redis().await;
    let mut found = Vec::new();
    for key in test.keys().await {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut redis).await.unwrap();
        let read = match kind.as_str() {
            "string" => redis::cmd("GET").arg(&key).clone(),
            "hash" => redis::cmd("HGETALL").arg(&key).clone(),
            "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).clone(),
            "set" => redis::cmd("SMEMBERS").arg(&key).clone(),
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).clone(),
            "stream" => redis::cmd("XRANGE").arg(&key).arg("-").arg("+").clone(),
            other => panic!("{key} is a {other}"),
        };
        let value: redis::Value = read.query_async(&mut redis).await.unwrap();
        let shown = format!("{value:?}");
        if shown.contains(text) {
            found.push(key);
        }
    }
    found
}

/// All ways in, but for those of a body.
async fn by_every_way(test: &TestQueue) -> JobId {
    let (queue, jobs) = (&test.queue, test.queue.jobs());
    test.enqueue(&[secret("typed")], &Options::default()).await;
    test.enqueue(&[secret("makes room")], &Options::default()).await;
    let steps = test.enqueue(&[secret("steps")], &Options::default()).await[0];
    assert!(queue.signal(steps, "go", &secret("signal")).await.unwrap());

    let later = Options { delay: Some(Duration::from_secs(3_600)), ..Options::default() };
    let change = |way: &str| JobChange { payload: Some(json!(secret(way))), ..JobChange::promote() };
    let id = test.enqueue(&[secret("later")], &later).await[0];
    jobs.change(id, &change("changed")).await.unwrap();
    let dies = test.enqueue(&[secret("dies")], &later).await[0];
    sqlx::query("update gristmill.jobs set state = 'dead', finished_at = now() where id = $1")
        .bind(dies)
        .execute(&test.pool)
        .await
        .unwrap();
    let retry = JobChange { payload: Some(json!(secret("retried"))), ..JobChange::default() };
    jobs.retry_with(dies, &retry).await.unwrap();

    for way in ["first", "replaces"] {
        let (unique_key, unique_mode) = (Some("typed".into()), UniqueMode::Replace);
        let delay = Some(Duration::from_millis(if way == "first" { 3_600_000 } else { 0 }));
        test.enqueue(&[secret(way)], &Options { unique_key, unique_mode, delay, ..Options::default() }).await;
    }

    let mut tx = test.pool.begin().await.unwrap();
    let many = |way: &str| NewJob::of("secret", &secret(way)).unwrap();
    let keyed = |way: &str| {
        let mut job = many(way);
        (job.unique_key, job.unique_mode) = (Some("many".into()), UniqueMode::Replace);
        job
    };
    let batch =
        [many("many"), NewJob::of("confidential", &secret("alias")).unwrap(), keyed("x"), keyed("replaces too")];
    let mut enqueued = vec![queue.enqueue_many(&mut tx, &batch).await.unwrap().into_enqueued()];
    let on_complete = Some(JobSpec::of(&secret("join")).unwrap());
    let new = NewGroup { on_complete, ..NewGroup::new(GroupPolicy::Continue) };
    let group = queue.create_group(&mut tx, new).await.unwrap();
    let member = Options { group: Some(group), ..Options::default() };
    enqueued.push(queue.enqueue(&mut tx, &secret("member"), &member).await.unwrap());
    assert!(queue.seal_group(&mut tx, group).await.unwrap().is_empty());
    let flow = Flow::new()
        .stage(Stage::new("a").job(many("stage a")))
        .stage(Stage::new("b").after(["a"]).job(many("stage b")))
        .on_complete(JobSpec::of(&secret("report")).unwrap());
    enqueued.push(queue.enqueue_flow(&mut tx, &flow).await.unwrap().take_enqueued());
    tx.commit().await.unwrap();
    for enqueued in enqueued {
        queue.push(enqueued).await;
    }

    let schedule = NewSchedule::new("yearly", "@yearly", JobSpec::of(&secret("schedule")).unwrap());
    queue.schedules().put(&schedule).await.unwrap();
    queue.schedules().run_now("yearly").await.unwrap();
    steps
}

const WAYS: [&str; 15] = [
    "typed",
    "in its place",
    "steps",
    "changed",
    "retried",
    "replaces",
    "many",
    "alias",
    "replaces too",
    "member",
    "join",
    "stage a",
    "stage b",
    "report",
    "schedule",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_engine_has_anything_as_it_is_whichever_way_it_came_in() {
    let test = test_with_keys(&["a"]).await;
    let steps = by_every_way(&test).await;
    assert_eq!(found(&test, MARK).await, [""; 0]);
    let waiting = gristmill_queue::testing::waiting::<Secret>(&test.queue).await.unwrap();
    assert!(waiting.iter().any(|one| one.job == secret("typed")), "tests see what was enqueued");

    let seen = Seen::default();
    let (worker, sweeper) = (work(&builder(&test.queue, &seen).build()), sweep(&test.queue));
    until("all of them", LONG, || async { saw(&seen, &WAYS) }).await;
    until("their ends", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state <> 'completed'").await == 0
    })
    .await;
    assert_eq!(found(&test, MARK).await, [""; 0], "nor what they came to");
    assert!(found(&test, "$encrypted").await.contains(&"jobs".to_owned()));

    // People see by which key, and who waits for a result reads it.
    let detail = test.queue.jobs().get(steps).await.unwrap().unwrap();
    let shown = [Some(&detail.payload), detail.result.as_ref(), detail.cursor.as_ref()];
    assert!(shown.iter().all(|value| encryption_key(value.unwrap()) == Some("a")), "{shown:?}");
    assert_eq!(detail.steps.iter().filter_map(|step| encryption_key(step.result.as_ref()?)).count(), 1);
    assert!(detail.attempts.iter().all(|attempt| attempt.outcome != "parked"), "{:?}", detail.attempts);
    let outcome = test.queue.jobs().outcome(steps).await.unwrap().unwrap();
    assert_eq!(outcome.result, Some(json!(secret("steps"))));
    assert_eq!(test.queue.readable_result("secret", detail.result.unwrap()).unwrap(), json!(secret("steps")));
    let all: Vec<JobId> = sqlx::query_scalar("select id from gristmill.jobs where result is not null")
        .fetch_all(&test.pool)
        .await
        .unwrap();
    for id in all {
        let outcome = test.queue.jobs().outcome(id).await.unwrap().unwrap();
        assert_eq!(outcome.result.unwrap()["text"], MARK, "also of one that was enqueued by a former name");
    }
    let results: i64 = test.count("select count(*) from gristmill.jobs where result is not null").await;
    assert_eq!(results, test.count("select count(*) from gristmill.jobs where result ? '$encrypted'").await);
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_jobs_that_are_named_are_encrypted_and_what_is_plain_is_read_beside_it() {
    let test = test_queue().await;
    let only = QueueConfig { codec: Some(Arc::new(ring(&["a"]).only(["confidential"]))), ..config(&test.stack) };
    let queue = Queue::connect(test.pool.clone(), only).await.unwrap();
    sqlx::query("select gristmill.enqueue('secret', $1)").bind(json!(secret("sql"))).execute(&test.pool).await.unwrap();
    let mut conn = test.pool.acquire().await.unwrap();
    let jobs = [NewJob::of("secret", &secret("open")), NewJob::of("confidential", &secret("sealed"))];
    let jobs = jobs.map(Result::unwrap);
    queue.push(queue.enqueue_many(&mut conn, &jobs).await.unwrap().into_enqueued()).await;
    let sealed = "select count(*) from gristmill.jobs where payload ? '$encrypted'";
    assert_eq!(test.count(sealed).await, 1);
    let seen = Seen::default();
    let (worker, sweeper) = (work(&builder(&queue, &seen).build()), sweep(&queue));
    until("all of them", LONG, || async { saw(&seen, &["sql", "open", "sealed"]) }).await;
    assert!(found(&test, MARK).await.contains(&"jobs".to_owned()), "what is plain is found");
    until("their results", LONG, || async {
        test.count("select count(*) from gristmill.jobs where result is not null").await == 3
    })
    .await;
    assert_eq!(test.count("select count(*) from gristmill.jobs where result ? '$encrypted'").await, 1);
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_put_again_is_the_same() {
    let test = test_with_keys(&["a"]).await;
    let schedules = test.queue.schedules();
    let yearly = |way: &str| NewSchedule::new("yearly", "@yearly", JobSpec::of(&secret(way)).unwrap());
    let first = schedules.put(&yearly("one")).await.unwrap();
    let again = schedules.put(&yearly("one")).await.unwrap();
    assert_eq!((first.updated_at, first.job.payload()), (again.updated_at, again.job.payload()));
    // As it is shown, it may be put again.
    let shown = NewSchedule::new("yearly", "@yearly", again.job.clone());
    assert_eq!(schedules.put(&shown).await.unwrap().updated_at, first.updated_at);
    let other = schedules.put(&yearly("two")).await.unwrap();
    assert!(other.updated_at > first.updated_at);
    let rotated = with_keys(&test, &["b", "a"]).await.schedules().put(&yearly("two")).await.unwrap();
    assert_eq!(encryption_key(rotated.job.payload()), Some("b"), "a new key is taken at the next start");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted_already_comes_in_if_it_is_this_jobs() {
    let test = test_with_keys(&["a"]).await;
    test.enqueue(&[secret("typed")], &Options::default()).await;
    let kept: Value = sqlx::query_scalar("select payload from gristmill.jobs").fetch_one(&test.pool).await.unwrap();
    let mut conn = test.pool.acquire().await.unwrap();
    let again = NewJob::of("secret", &kept).unwrap();
    test.queue.enqueue_many(&mut conn, &[again]).await.unwrap();
    let same = "select count(distinct payload) from gristmill.jobs";
    assert_eq!(test.count(same).await, 1);

    let moved = NewJob::of("confidential", &kept).unwrap();
    let refused = test.queue.enqueue_many(&mut conn, &[moved]).await.unwrap_err();
    let problem = |error: &QueueError| match error {
        QueueError::Payload { problem, .. } => *problem,
        other => panic!("{other:?}"),
    };
    assert_eq!((refused.job, problem(&refused.error)), (Some(0), PayloadError::Encrypted));

    // The limit is of the payload, and of what it becomes.
    let limit = test.queue.clone();
    let long = Secret { way: "x".repeat(200 * 1_024), text: String::new() };
    let refused = limit.enqueue(&mut conn, &long, &Options::default()).await.unwrap_err();
    let problem = problem(&refused);
    assert!(matches!(problem, PayloadError::TooLargeEncrypted { bytes, .. } if bytes > 256 * 1_024), "{problem}");
}
