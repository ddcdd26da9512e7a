//! The scheduler's tasks, on real engines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::{sync::Arc, time::Duration};

use gristmill_core::ClientId;
use gristmill_platform::{config::SchedulerConfig, telemetry, testing};
use gristmill_queue::{
    Context, GroupPolicy, Job, JobError, JobSpec, NewGroup, NewSchedule, Options, Queue, QueueConfig, Worker,
};
use gristmill_scheduler::{Env, serve};
use gristmill_uploads::events::Events;
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct Chime;

impl Job for Chime {
    const NAME: &'static str = "chime";
}

#[derive(Serialize, Deserialize)]
struct Knell;

impl Job for Knell {
    const NAME: &'static str = "knell";
    const QUEUE: &'static str = "knells";
}

/// A scheduler in the background, and what it works with.
async fn scheduler(config: SchedulerConfig) -> (Env, CancellationToken, AbortOnDropHandle<()>, testing::Stack) {
    scheduler_on(testing::stack().await, config).await
}

async fn scheduler_on(
    stack: testing::Stack,
    scheduled: SchedulerConfig,
) -> (Env, CancellationToken, AbortOnDropHandle<()>, testing::Stack) {
    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    let env = Env {
        queue: Queue::connect(stack.pool.clone(), config).await.unwrap(),
        pool: stack.pool.clone(),
        store: Arc::clone(&stack.store),
        events: Events::connect(&stack.redis_url, &stack.namespace).unwrap(),
    };
    let stop = CancellationToken::new();
    let serving = AbortOnDropHandle::new(tokio::spawn({
        let (env, stop) = (env.clone(), stop.clone());
        async move { serve(env, &scheduled, stop).await.unwrap() }
    }));
    (env, stop, serving, stack)
}

async fn until<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), wait).await.expect(what);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_fire() {
    let (env, stop, serving, _stack) = scheduler(SchedulerConfig::default()).await;
    let schedules = env.queue.schedules();
    schedules.put(&NewSchedule::new("chime", "* * * * * *", JobSpec::of(&Chime).unwrap())).await.unwrap();
    until("a tick", || async { schedules.get("chime").await.unwrap().last.is_some() }).await;
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gauges_follow_the_backlog_and_every_invariant_is_counted_from_zero() {
    let metrics = telemetry::metrics();
    let (env, stop, serving, _stack) = scheduler(SchedulerConfig::default()).await;
    let mut tx = env.pool.begin().await.unwrap();
    let enqueued = env.queue.enqueue_all(&mut tx, &[Knell, Knell, Knell], &Options::default()).await.unwrap();
    tx.commit().await.unwrap();
    env.queue.push(enqueued).await;
    let shows = |sample: &'static str| {
        let text = metrics.render();
        async move { text.lines().any(|line| line == sample) }
    };
    let depth = r#"gristmill_queue_depth{queue="knells",state="available"}"#;
    until("three in line", || shows(r#"gristmill_queue_depth{queue="knells",state="available"} 3"#)).await;
    let oldest = r#"gristmill_queue_oldest_seconds{queue="knells",state="available"} "#;
    let age = || metrics.render().lines().find_map(|line| line.strip_prefix(oldest)?.parse::<f64>().ok());
    until("their age to grow", || async { age().is_some_and(|age| age > 3.0) }).await;
    sqlx::query("update gristmill.jobs set state = 'completed', finished_at = now() where queue = 'knells'")
        .execute(&env.pool)
        .await
        .unwrap();
    until("none in line", || shows(r#"gristmill_queue_depth{queue="knells",state="available"} 0"#)).await;
    let text = metrics.render();
    assert!(text.contains(depth) && text.contains("# HELP gristmill_queue_depth "), "{text}");
    for invariant in ["group_members", "upload_progress", "upload_unclosed"] {
        let sample = format!(r#"gristmill_invariant_violations_total{{invariant="{invariant}"}} 0"#);
        assert!(text.contains(&sample), "{text}");
    }
    // Another test has some of these found.
    for invariant in ["books", "group_unsealed", "provider_sums"] {
        assert!(
            text.contains(&format!(r#"gristmill_invariant_violations_total{{invariant="{invariant}"}} "#)),
            "{text}"
        );
    }
    stop.cancel();
    serving.await.unwrap();
}

/// A job of one of the queues that workers are scaled by.
#[derive(Serialize, Deserialize)]
struct Chunk;

impl Job for Chunk {
    const NAME: &'static str = "chunk";
    const QUEUE: &'static str = "chunks";
}

#[derive(Serialize, Deserialize)]
struct Payment;

impl Job for Payment {
    const NAME: &'static str = "payment";
    const QUEUE: &'static str = "payments";
}

async fn done<J: Job>(_: Context, _: J) -> Result<(), JobError> {
    Ok(())
}

/// The selectors of a query: each metric with its labels.
fn selectors(query: &str) -> Vec<(&str, Vec<&str>)> {
    let starts = query.match_indices("gristmill_").map(|(at, _)| &query[at..]);
    let parsed = starts.map(|text| {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
        let labels = text[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        (&text[..end], labels.map_or(Vec::new(), |(labels, _)| labels.split(',').collect()))
    });
    parsed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_are_scaled_by_is_among_the_metrics() {
    let metrics = telemetry::metrics();
    let (env, stop, serving, _stack) = scheduler(SchedulerConfig::default()).await;
    let worker = Worker::builder(&env.queue).queue("payments", 1).queue("chunks", 1);
    let worker = worker.register::<Payment>(done).register::<Chunk>(done).build();
    let mut tx = env.pool.begin().await.unwrap();
    let mut jobs = env.queue.enqueue(&mut tx, &Chunk, &Options::default()).await.unwrap();
    jobs.merge(env.queue.enqueue_all(&mut tx, &[Payment, Payment], &Options::default()).await.unwrap());
    tx.commit().await.unwrap();
    env.queue.push(jobs).await;
    // Counted while they wait, and when they are done.
    env.queue.depths().await.unwrap();
    env.queue.drain(&worker, Duration::from_secs(30)).await.unwrap();
    env.queue.depths().await.unwrap();

    let text = metrics.render();
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../monitoring/keda/worker.yaml")).unwrap();
    let queries: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("query: ")).collect();
    assert_eq!(queries.len(), 4, "{file}");
    for query in queries {
        let used = selectors(query);
        assert!(!used.is_empty(), "{query}");
        for (name, labels) in used {
            let sample = text.lines().find(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && labels.iter().all(|label| line.contains(label))
            });
            assert!(sample.is_some(), "{name} with {labels:?} is not in:\n{text}");
        }
    }
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_finds_books_and_sums_that_are_wrong() {
    let metrics = telemetry::metrics();
    let config = SchedulerConfig { audit_every: Duration::from_millis(200), ..SchedulerConfig::default() };
    let (env, stop, serving, _stack) = scheduler(config).await;
    // A claim that is said to be paid, of which the books know nothing but that; and a provider that nobody counted.
    sqlx::raw_sql(
        "insert into clients (name) values ('acme');
         insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor, state)
         values (gen_random_uuid(), 1, '1', '1497775530', '2018-03-28', 1, 100, 'posted');
         insert into ledger_postings (claim_id, purpose, client_id) select id, 'payment', 1 from claims;
         insert into provider_totals values (1, '1497775530', 1, 1, 99)",
    )
    .execute(&env.pool)
    .await
    .unwrap();
    for invariant in ["books", "provider_sums"] {
        let sample = format!(r#"gristmill_invariant_violations_total{{invariant="{invariant}"}} "#);
        let found = || {
            let text = metrics.render();
            let count = text.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<u64>().ok());
            async move { count.is_some_and(|count| count > 0) }
        };
        until(invariant, found).await;
    }
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_nobody_seals_is_told_of_and_fails_but_an_uploads_is_its_own() {
    let metrics = telemetry::metrics();
    let stack = testing::stack().await;
    let [upload] = uploads(&stack, [("receiving", "null")]).await;
    let queue = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    let queue = Queue::connect(stack.pool.clone(), queue).await.unwrap();
    let mut tx = stack.pool.begin().await.unwrap();
    let left = queue.create_group(&mut tx, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
    let arrives = queue.create_group(&mut tx, NewGroup::new(GroupPolicy::Continue)).await.unwrap();
    let waits = Options { group: Some(left), delay: Some(Duration::from_secs(3_600)), ..Options::default() };
    let job = queue.enqueue(&mut tx, &Chime, &waits).await.unwrap().ids()[0];
    for sql in [
        "update uploads set id = $1, group_id = $1, alive_at = now() + interval '1 hour' where id = $2",
        "update gristmill.groups set created_at = now() - interval '2 hours' where $1 <> $2",
        "update gristmill.jobs set created_at = now() - interval '2 hours' where $1 <> $2",
    ] {
        sqlx::query(sql).bind(arrives).bind(upload).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let config = SchedulerConfig {
        audit_every: Duration::from_millis(200),
        unsealed_groups: Duration::from_secs(3_600),
        ..SchedulerConfig::default()
    };
    let (env, stop, serving, _stack) = scheduler_on(stack, config).await;
    until("its end", || async { env.queue.group(left).await.unwrap().unwrap().state == "failed" }).await;
    let state: String = sqlx::query_scalar("select state from gristmill.jobs where id = $1")
        .bind(job)
        .fetch_one(&env.pool)
        .await
        .unwrap();
    assert_eq!(state, "cancelled");
    assert_eq!(env.queue.group(arrives).await.unwrap().unwrap().state, "open");
    let sample = r#"gristmill_invariant_violations_total{invariant="group_unsealed"} "#;
    let told = metrics.render().lines().find_map(|line| line.strip_prefix(sample)?.parse::<u64>().ok());
    assert!(told.is_some_and(|told| told > 0), "{told:?}");
    stop.cancel();
    serving.await.unwrap();
}

/// Uploads in these states, `purged_at` given as SQL.
async fn uploads<const N: usize>(stack: &testing::Stack, uploads: [(&str, &str); N]) -> [Uuid; N] {
    sqlx::query("insert into clients (name) values ('acme')").execute(&stack.pool).await.unwrap();
    let mut ids = [Uuid::nil(); N];
    for (id, (state, purged_at)) in ids.iter_mut().zip(uploads) {
        let insert = format!(
            "insert into uploads (id, client_id, kind, policy, state, group_id, first_block, purged_at)
             values (gen_random_uuid(), 1, 'debts', 'partial', '{state}', gen_random_uuid(), 0, {purged_at}) returning id"
        );
        *id = sqlx::query_scalar(&insert).fetch_one(&stack.pool).await.unwrap();
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_was_lost_is_enqueued_anew() {
    let stack = testing::stack().await;
    let [lost, ..] =
        uploads(&stack, [("cancelled", "null"), ("failed", "now()"), ("completed", "null"), ("processing", "null")])
            .await;
    let (env, stop, serving, _stack) = scheduler_on(stack, SchedulerConfig::default()).await;
    let purges = || async {
        let found: Vec<String> =
            sqlx::query_scalar("select payload->>'upload_id' from gristmill.jobs where name = 'uploads.purge'")
                .fetch_all(&env.pool)
                .await
                .unwrap();
        found
    };
    until("the purge", || async { !purges().await.is_empty() }).await;
    assert_eq!(purges().await, [lost.to_string()]);
    stop.cancel();
    serving.await.unwrap();
    // While it waits it is not enqueued again: the first thing a scheduler does is to look.
    let (stop, again) = (CancellationToken::new(), env.clone());
    let (told, config) = (stop.clone(), SchedulerConfig::default());
    let serving = AbortOnDropHandle::new(tokio::spawn(async move { serve(again, &config, told).await.unwrap() }));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(purges().await.len(), 1);
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_are_looked_for_where_they_are_not_kept_for_ever() {
    for (keep_rows, wanted) in [(Duration::ZERO, 0), (Duration::from_secs(3_600), 1), (Duration::from_secs(10_800), 0)]
    {
        let stack = testing::stack().await;
        let [completed, _lost] = uploads(&stack, [("completed", "null"), ("cancelled", "null")]).await;
        for sql in [
            "update uploads set completed_at = now() - interval '2 hours' where id = $1",
            "insert into row_segments (table_name, upload_id, client_id, state) values ('debts', $1, 1, 'sealed')",
        ] {
            sqlx::query(sql).bind(completed).execute(&stack.pool).await.unwrap();
        }
        let config = SchedulerConfig { keep_rows, ..SchedulerConfig::default() };
        let (env, stop, serving, _stack) = scheduler_on(stack, config).await;
        // What it does after it has looked.
        let purges = "select count(*) from gristmill.jobs where name = 'uploads.purge'";
        until("the purge", || async { sqlx::query_scalar::<_, i64>(purges).fetch_one(&env.pool).await.unwrap() > 0 })
            .await;
        let looks: Vec<String> =
            sqlx::query_scalar("select payload->>'keep_seconds' from gristmill.jobs where name = 'segments.drop_old'")
                .fetch_all(&env.pool)
                .await
                .unwrap();
        assert_eq!(looks, vec!["3600"; wanted], "{keep_rows:?}");
        stop.cancel();
        serving.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_chunk_leaves_behind_a_purge_is_removed() {
    let stack = testing::stack().await;
    let ago = "now() - interval '2 minutes'";
    let [purged, fresh, processing] =
        uploads(&stack, [("cancelled", ago), ("cancelled", "now()"), ("processing", "null")]).await;
    let insert = "insert into upload_reports (upload_id, report_id) select id, 'r' from uploads";
    sqlx::query(insert).execute(&stack.pool).await.unwrap();
    let (env, stop, serving, _stack) = scheduler_on(stack, SchedulerConfig::default()).await;
    until("the purged one's to go", || async {
        let left: Vec<Uuid> =
            sqlx::query_scalar("select upload_id from upload_reports").fetch_all(&env.pool).await.unwrap();
        assert!([fresh, processing].iter().all(|id| left.contains(id)), "{left:?}");
        !left.contains(&purged)
    })
    .await;
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_said_long_ago_is_removed() {
    let stack = testing::stack().await;
    let client_id: ClientId = sqlx::query_scalar("insert into clients (name) values ('acme') returning id")
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    sqlx::query(
        "insert into reports (client_id, id, source, name, credit_cost, updated_at)
         values ($1, 'own', 'client', 'Own', 1, now() - interval '3 days'),
                ($1, 'old', 'upstream', 'Old', 1, now() - interval '3 days'),
                ($1, 'none', 'upstream', null, null, now() - interval '3 days'),
                ($1, 'kept', 'upstream', 'Kept', 1, now() - interval '1 hour')",
    )
    .bind(client_id)
    .execute(&stack.pool)
    .await
    .unwrap();
    let (env, stop, serving, _stack) = scheduler_on(stack, SchedulerConfig::default()).await;
    until("the old ones to go", || async {
        let left: Vec<String> =
            sqlx::query_scalar("select id from reports order by id").fetch_all(&env.pool).await.unwrap();
        left == ["kept", "own"]
    })
    .await;
    stop.cancel();
    serving.await.unwrap();
}

/// Whether Postgres has looked at the rows of a table.
async fn is_known(env: &Env, table: &str) -> bool {
    sqlx::query_scalar("select reltuples > 0 from pg_class where oid = $1::text::regclass")
        .bind(table)
        .fetch_one(&env.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planner_is_told_of_tables_that_were_filled_in_bulk() {
    let stack = testing::stack().await;
    for (table, rows) in [("\"Held back\"", 50_000), ("bulk", 30_000), ("small", 500)] {
        let sql = format!(
            "create table {table} (n int) with (autovacuum_enabled = false);
             insert into {table} select generate_series(1, {rows});
             select pg_stat_force_next_flush()" // else its count of them may come late, or on a busy machine never
        );
        sqlx::raw_sql(&sql).execute(&stack.pool).await.unwrap();
    }
    let mut holder = stack.pool.begin().await.unwrap();
    // As autovacuum holds a table.
    sqlx::raw_sql("lock table \"Held back\" in share update exclusive mode").execute(&mut *holder).await.unwrap();
    let (env, stop, serving, _stack) = scheduler_on(stack, SchedulerConfig::default()).await;
    until("the large table is known", || is_known(&env, "bulk")).await;
    assert!(!is_known(&env, "\"Held back\"").await, "it is in other hands, and nobody waits for it");
    holder.rollback().await.unwrap();
    until("so is the one that was held", || is_known(&env, "\"Held back\"")).await;
    assert!(!is_known(&env, "small").await, "a few rows are autovacuum's business");
    stop.cancel();
    serving.await.unwrap();
}
