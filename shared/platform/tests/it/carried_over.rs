//! A database of the time when the queue's tables were in `public`: dumped, restored, brought up to date, and worked on.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use gristmill_platform::database;
use gristmill_platform::testing::{Stack, empty_stack};
use gristmill_queue::{Context, Job, JobError, JobFilter, JobState, Queue, QueueConfig, Schema, Sweeper, Worker};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// The migration that moves the queue's tables.
const MOVE: i64 = 20_261_129_220_000;

/// As an application of that time wrote them: waiting, scheduled, running (which the ledger calls available), dead, parked,
/// done; members of a group whose join is still to come; a schedule with ticks; limits; what waits for a place in Redis.
const ROWS: &str = "
    insert into groups (id, policy, total, completed, sealed, on_complete)
        values ('01940000-0000-7000-8000-00000000000a', 'continue', 2, 1, true,
                '{\"name\": \"mark\", \"queue\": \"default\", \"priority\": 4, \"max_attempts\": 8, \"payload\": {\"n\": 100}}');
    insert into jobs (id, name, queue, priority, payload, state, max_attempts, attempt, group_id, last_error, finished_at)
        values ('01940000-0000-7000-8000-000000000001', 'mark', 'default', 4, '{\"n\": 1}', 'available', 8, 0, null, null, null),
               ('01940000-0000-7000-8000-000000000002', 'mark', 'default', 4, '{\"n\": 2}', 'scheduled', 8, 2, null, 'later', null),
               ('01940000-0000-7000-8000-000000000003', 'mark', 'default', 4, '{\"n\": 3}', 'available', 8, 1, '01940000-0000-7000-8000-00000000000a', 'lost', null),
               ('01940000-0000-7000-8000-000000000004', 'mark', 'default', 4, '{\"n\": 4}', 'completed', 8, 0, '01940000-0000-7000-8000-00000000000a', null, now()),
               ('01940000-0000-7000-8000-000000000005', 'mark', 'default', 4, '{\"n\": 5}', 'dead', 8, 8, null, 'a disk is full', now()),
               ('01940000-0000-7000-8000-000000000006', 'mark', 'default', 4, '{\"n\": 6}', 'parked', 8, 0, null, null, null);
    update jobs set parked_by = 'mark' where state = 'parked';
    insert into job_attempts (job_id, attempt, delivery, outcome, error)
        select id, 1, 1, 'lost_worker', 'gone' from jobs where n_of(payload) in (3, 5);
    insert into queues (name, concurrency, limits_said) values ('default', 3, true);
    insert into schedules (name, cron, job) values ('nightly', '0 3 * * *', '{\"name\": \"mark\", \"queue\": \"default\", \"payload\": {\"n\": 7}}');
    insert into schedule_ticks (schedule, fire_at, cause) values ('nightly', now(), 'missed');
    insert into job_keys values ('once', '01940000-0000-7000-8000-000000000004', now() + interval '1 day');
    insert into waiting_room values ('default', 4, '', '01940000-0000-7000-8000-000000000001');
    create table marks (n bigint not null);";

#[derive(Serialize, Deserialize)]
struct Mark {
    n: i64,
}

impl Job for Mark {
    const NAME: &'static str = "mark";
}

async fn mark(context: Context, job: Mark) -> Result<(), JobError> {
    sqlx::query("insert into marks values ($1)").bind(job.n).execute(context.queue.pool()).await?;
    Ok(())
}

/// The tools are beside the server that the tests run on, or in the path.
fn tool(name: &str) -> Command {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let beside = folders.map(|version| version.path().join("bin").join(name)).find(|path| path.exists());
    Command::new(beside.unwrap_or_else(|| PathBuf::from(name)))
}

fn dump(stack: &Stack, arguments: &[&str]) -> String {
    let output = tool("pg_dump").args(arguments).arg(&stack.database_url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn restore(stack: &Stack, sql: &str) {
    let mut psql = tool("psql")
        .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"])
        .arg(&stack.database_url)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut psql.stdin.take().unwrap(), sql.as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success());
}

/// A database as the release before left it.
async fn yesterday() -> Stack {
    let stack = empty_stack().await;
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    let mut before = Migrator::new(folder).await.unwrap();
    before.migrations.to_mut().retain(|migration| migration.version < MOVE);
    before.run(&stack.pool).await.unwrap();
    let function = "create function n_of(jsonb) returns int language sql as 'select ($1->>''n'')::int'";
    sqlx::raw_sql(function).execute(&stack.pool).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&stack.pool).await.unwrap();
    sqlx::raw_sql("drop function n_of").execute(&stack.pool).await.unwrap();
    stack
}

async fn count(stack: &Stack, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&stack.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_yesterday_is_worked_on_today() {
    let old = dump(&yesterday().await, &["--no-owner"]);
    let stack = empty_stack().await;
    restore(&stack, &old);
    database::ready(&stack.pool).await.unwrap_err();
    database::migrate(&stack.pool).await.unwrap();
    database::ready(&stack.pool).await.unwrap();
    database::migrate(&stack.pool).await.unwrap();
    for (table, rows) in
        [("jobs", 6), ("groups", 1), ("job_attempts", 2), ("queues", 1), ("schedules", 1), ("schedule_ticks", 1)]
    {
        assert_eq!(count(&stack, &format!("select count(*) from gristmill.{table}")).await, rows, "{table}");
    }

    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    let queue = Queue::connect(stack.pool.clone(), config).await.unwrap();
    assert_eq!(queue.queues().get("default").await.unwrap().limits.concurrency, Some(3));
    let dead = JobFilter { states: vec![JobState::Dead], ..JobFilter::default() };
    assert_eq!(queue.jobs().redrive(&dead, None).await.unwrap().changed, 1);
    let stop = CancellationToken::new();
    let worker = Worker::builder(&queue).queue("default", 4).register(mark).build();
    let token = stop.clone();
    let _worker = AbortOnDropHandle::new(tokio::spawn(async move { worker.run(token).await }));
    let _sweeper = AbortOnDropHandle::new(tokio::spawn(Sweeper::new(&queue).run(stop)));
    for _ in 0..600 {
        if count(&stack, "select count(*) from gristmill.jobs where state <> 'completed'").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut marks: Vec<i64> = sqlx::query_scalar("select n from marks").fetch_all(&stack.pool).await.unwrap();
    marks.sort_unstable();
    assert_eq!(marks, [1, 2, 3, 5, 6, 100], "each that was not done, once, and the join");
    assert_eq!(count(&stack, "select count(*) from gristmill.groups where state = 'completed'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_the_release_before_go_on_through_views() {
    let stack = yesterday().await;
    database::migrate(&stack.pool).await.unwrap();
    let insert = "insert into jobs (id, name, queue, priority, payload, state, max_attempts, unique_key)
                  values (gen_random_uuid(), 'mark', 'default', 4, '{}', 'available', 8, 'k')
                  on conflict (unique_key) where unique_key is not null and state in ('available', 'scheduled') do nothing";
    for inserted in [1, 0] {
        assert_eq!(sqlx::query(insert).execute(&stack.pool).await.unwrap().rows_affected(), inserted);
    }
    let mut tx = stack.pool.begin().await.unwrap();
    let held = "select id from jobs where unique_key = 'k' for update skip locked";
    assert_eq!(sqlx::query(held).fetch_all(&mut *tx).await.unwrap().len(), 1);
    let done = "update jobs j set state = 'completed', finished_at = now() where unique_key = 'k' returning j.group_id";
    assert_eq!(sqlx::query(done).fetch_all(&mut *tx).await.unwrap().len(), 1);
    sqlx::query("insert into job_attempts (job_id, attempt, delivery, outcome) select id, 1, 1, 'retried' from jobs where unique_key = 'k'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        count(&stack, "select count(*) from gristmill.jobs where unique_key = 'k' and state = 'completed'").await,
        1
    );
}

/// The same tables, columns, checks and indexes, whether they were moved or made.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_over_is_what_a_new_schema_has() {
    let (carried, new) = (yesterday().await, empty_stack().await);
    database::migrate(&carried.pool).await.unwrap();
    gristmill_queue::migrate(&new.pool, Schema::default()).await.unwrap();
    let parts = |stack: &Stack| -> BTreeSet<String> {
        let dump = dump(stack, &["--schema-only", "--no-owner", "--schema=gristmill"]);
        // statements, without what `pg_dump` says around them
        let lines = dump.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\') && !line.is_empty());
        lines.collect::<Vec<_>>().join("\n").split(";\n").map(str::to_owned).collect()
    };
    let (carried, new) = (parts(&carried), parts(&new));
    let only: Vec<&String> = carried.symmetric_difference(&new).collect();
    // The product's own index, of its jobs' names.
    assert!(matches!(only[..], [one] if one.contains("jobs_ends_unseen")), "{only:#?}");
}
