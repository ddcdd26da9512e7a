//! The queue beside an application's own tables of any name and its own migrations, and two applications in one database.

use std::time::Duration;

use gristmill_platform::testing::{self, Stack};
use gristmill_queue::{
    Context, GroupPolicy, Job, JobError, JobFilter, JobSpec, JobState, MigrateError, NewGroup, NewSchedule, Options,
    Queue, QueueConfig, Schema, Worker, migrate, pending_migrations,
};
use serde::{Deserialize, Serialize};

use super::support::{Effect, LONG, config, effect, sweep, until, work};

#[derive(Serialize, Deserialize)]
struct Hopeless {}

impl Job for Hopeless {
    const NAME: &'static str = "hopeless";
}

async fn hopeless(_: Context, _: Hopeless) -> Result<(), JobError> {
    Err(JobError::discard("there is no such shop"))
}

/// What an application might have: tables that are called as the queue's are, one of them with a foreign shape, and
/// migrations that sqlx keeps account of.
const APPLICATION: &str = "
    create table public.jobs (title text primary key);
    insert into public.jobs values ('gardener');
    create table public.groups (members integer);
    create table public.queues (length integer);
    create type public.schedules as enum ('early', 'late');
    create table public._sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null default now(),
        success boolean not null, checksum bytea not null, execution_time bigint not null);
    insert into public._sqlx_migrations values (7, 'hire', now(), true, '\\x07', 1);
    create table public.effects (job uuid not null, n bigint not null, at timestamptz default clock_timestamp());";

async fn application() -> Stack {
    let stack = testing::empty_stack().await;
    sqlx::raw_sql(APPLICATION).execute(&stack.pool).await.unwrap();
    stack
}

async fn queue_in(stack: &Stack, schema: Schema) -> Queue {
    migrate(&stack.pool, schema).await.unwrap();
    let namespace = format!("{}-{schema}", stack.namespace);
    let config = QueueConfig { schema, namespace, ..config(stack) };
    Queue::connect(stack.pool.clone(), config).await.unwrap()
}

async fn count(stack: &Stack, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&stack.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_works_beside_tables_of_the_same_names() {
    let stack = application().await;
    let shop = Schema::new("shop").unwrap();
    let queue = queue_in(&stack, shop).await;

    // groups, retries, death, the clock, limits, lists, redrives: each by what its statements leave behind
    let mut tx = stack.pool.begin().await.unwrap();
    let new =
        NewGroup { on_complete: Some(JobSpec::of(&Effect::new(100)).unwrap()), ..NewGroup::new(GroupPolicy::Continue) };
    let group = queue.create_group(&mut tx, new).await.unwrap();
    let options = Options { group: Some(group), ..Options::default() };
    let members = queue.enqueue_all(&mut tx, &[Effect::new(1), Effect::new(2)], &options).await.unwrap();
    let joins = queue.seal_group(&mut tx, group).await.unwrap();
    let later = Options { delay: Some(Duration::from_millis(300)), ..Options::default() };
    let delayed = queue.enqueue(&mut tx, &Effect::new(3), &later).await.unwrap();
    let doomed = queue.enqueue(&mut tx, &Hopeless {}, &Options::default()).await.unwrap();
    let doomed_id = doomed.ids()[0];
    tx.commit().await.unwrap();
    for enqueued in [members, joins, delayed, doomed] {
        queue.push(enqueued).await;
    }
    let nightly = NewSchedule::new("yearly", "@yearly", JobSpec::of(&Effect::new(4)).unwrap());
    queue.schedules().put(&nightly).await.unwrap();
    queue.schedules().run_now("yearly").await.unwrap();

    let worker = Worker::builder(&queue).queue("default", 4).register(effect).register(hopeless).build();
    let (worker, sweeper) = (work(&worker), sweep(&queue));
    until("everything", LONG, || async {
        count(&stack, "select count(*) from shop.jobs where state in ('completed', 'dead')").await == 6
    })
    .await;
    let effects = count(&stack, "select sum(n)::bigint from effects").await;
    assert_eq!(effects, 110, "two members, their join, a delayed one, one by the clock");
    assert_eq!(count(&stack, "select count(*) from shop.groups where state = 'completed'").await, 1);

    let dead = JobFilter { states: vec![JobState::Dead], ..JobFilter::default() };
    assert_eq!(queue.jobs().list(&dead, None, 10).await.unwrap().jobs[0].id, doomed_id);
    assert_eq!(queue.jobs().get(doomed_id).await.unwrap().unwrap().attempts.len(), 1);
    queue.jobs().discard(&dead).await.unwrap();
    assert_eq!(queue.groups().list(&Default::default(), None, 10).await.unwrap().groups.len(), 1);
    // Nothing waits in it any more: it is listed by its worker's first heartbeat.
    until("the queue to be listed", LONG, || async { queue.queues().list().await.unwrap().len() == 1 }).await;
    queue.queues().pause("default").await.unwrap();
    assert_eq!(count(&stack, "select count(*) from shop.queues where paused").await, 1);
    drop((worker, sweeper));
    assert!(queue.prune(Duration::ZERO).await.unwrap().jobs >= 5);

    // and nothing of the application's was touched
    assert_eq!(count(&stack, "select count(*) from public.jobs where title = 'gardener'").await, 1);
    assert_eq!(count(&stack, "select count(*) from public._sqlx_migrations").await, 1);
    assert_eq!(count(&stack, "select count(*) from pg_tables where schemaname = 'public'").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_share_a_database_and_a_redis() {
    let stack = application().await;
    let queues = [queue_in(&stack, Schema::default()).await, queue_in(&stack, Schema::new("second").unwrap()).await];
    for (n, queue) in (0..).zip(&queues) {
        let mut conn = stack.pool.acquire().await.unwrap();
        let enqueued = queue.enqueue(&mut conn, &Effect::new(n), &Options::default()).await.unwrap();
        queue.push(enqueued).await;
    }
    assert_eq!(count(&stack, "select count(*) from gristmill.jobs").await, 1);
    let [first, second] = &queues;
    let _worker = work(&Worker::builder(second).queue("default", 2).register(effect).build());
    until("the second application's job", LONG, || async {
        count(&stack, "select count(*) from second.jobs where state = 'completed'").await == 1
    })
    .await;
    assert_eq!(count(&stack, "select n from effects").await, 1, "the second application's own job");
    assert_eq!(first.broker_depth("default").await.unwrap(), (1, 0), "the first one's job waits for its own worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_once_whoever_starts_first() {
    let stack = application().await;
    let shop = Schema::new("shop").unwrap();
    assert!(!pending_migrations(&stack.pool, shop).await.unwrap().pending.is_empty());
    let all = (0..8).map(|_| migrate(&stack.pool, shop));
    for migrated in futures::future::join_all(all).await {
        migrated.unwrap();
    }
    let known = pending_migrations(&stack.pool, shop).await.unwrap();
    assert!(known.pending.is_empty() && known.changed.is_empty(), "{known:?}");
    let path: String = sqlx::query_scalar("show search_path").fetch_one(&stack.pool).await.unwrap();
    assert!(path.contains("public"), "no connection of the pool looks elsewhere: {path}");

    // a newer release has been here: its tables have more, and that is no fault
    sqlx::query("insert into shop.migrations values (99990101000000, 'later', '\\x00')")
        .execute(&stack.pool)
        .await
        .unwrap();
    migrate(&stack.pool, shop).await.unwrap();
    // another content under the same number is one
    sqlx::query("update shop.migrations set checksum = '\\x00' where version = 1").execute(&stack.pool).await.unwrap();
    assert_eq!(pending_migrations(&stack.pool, shop).await.unwrap().changed, [1]);
    assert!(matches!(migrate(&stack.pool, shop).await, Err(MigrateError::Changed { version: 1, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_made_again_unless_those_of_a_newer_release_are_there() {
    let stack = application().await;
    let shop = Schema::new("shop").unwrap();
    migrate(&stack.pool, shop).await.unwrap();
    let functions = "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                     where n.nspname = 'shop' and p.proname = 'job_statuses'";
    assert_eq!(count(&stack, functions).await, 1);

    // an older release was here
    let older = "drop function shop.job_statuses(uuid[]); delete from shop.migrations where name = 'functions'";
    sqlx::raw_sql(older).execute(&stack.pool).await.unwrap();
    assert_eq!(pending_migrations(&stack.pool, shop).await.unwrap().pending.len(), 1);
    migrate(&stack.pool, shop).await.unwrap();
    assert_eq!(count(&stack, functions).await, 1);

    // a newer one has none of this name
    let newer = "drop function shop.job_statuses(uuid[]);
                 update shop.migrations set version = version + 1, checksum = '\\x00' where name = 'functions'";
    sqlx::raw_sql(newer).execute(&stack.pool).await.unwrap();
    let known = pending_migrations(&stack.pool, shop).await.unwrap();
    assert!(known.pending.is_empty() && known.changed.is_empty(), "{known:?}");
    migrate(&stack.pool, shop).await.unwrap();
    assert_eq!(count(&stack, functions).await, 0);

    // the same number with another content is of nobody
    let changed = "update shop.migrations set version = version - 1 where name = 'functions'";
    sqlx::raw_sql(changed).execute(&stack.pool).await.unwrap();
    assert!(matches!(migrate(&stack.pool, shop).await, Err(MigrateError::Changed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_holds_something_else_is_refused() {
    let stack = application().await;
    sqlx::raw_sql("create schema crm; create table crm.jobs (title text)").execute(&stack.pool).await.unwrap();
    let error = migrate(&stack.pool, Schema::new("crm").unwrap()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Foreign(_)), "{error:?}");
    assert!(error.to_string().contains("crm") && error.to_string().contains("GRISTMILL_SCHEMA"), "{error}");
    assert_eq!(count(&stack, "select count(*) from pg_tables where schemaname = 'crm'").await, 1);
}
