//! The scheduler's tasks, on real engines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::{sync::Arc, time::Duration};

use gristmill_platform::{config::SchedulerConfig, telemetry, testing};
use gristmill_queue::{Job, JobSpec, NewSchedule, Options, Queue, QueueConfig};
use gristmill_scheduler::{Env, serve};
use gristmill_uploads::events::Events;
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

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
async fn scheduler() -> (Env, CancellationToken, AbortOnDropHandle<()>, testing::Stack) {
    scheduler_on(testing::stack().await).await
}

async fn scheduler_on(stack: testing::Stack) -> (Env, CancellationToken, AbortOnDropHandle<()>, testing::Stack) {
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
        async move { serve(env, &SchedulerConfig::default(), stop).await }
    }));
    (env, stop, serving, stack)
}

async fn until<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect(what);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_fire() {
    let (env, stop, serving, _stack) = scheduler().await;
    let schedules = env.queue.schedules();
    schedules.put(&NewSchedule::new("chime", "* * * * * *", JobSpec::of(&Chime).unwrap())).await.unwrap();
    until("a tick", || async { schedules.get("chime").await.unwrap().last.is_some() }).await;
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gauges_follow_the_backlog_and_every_invariant_is_counted_from_zero() {
    let metrics = telemetry::metrics();
    let (env, stop, serving, _stack) = scheduler().await;
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
    let age = || metrics.render().lines().find_map(|line| line.strip_prefix(oldest)?.parse::<f64>().ok()).unwrap();
    until("their age to grow", || async { age() > 3.0 }).await;
    sqlx::query("update jobs set state = 'completed', finished_at = now() where queue = 'knells'")
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
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_said_long_ago_is_removed() {
    let stack = testing::stack().await;
    let client_id: i32 = sqlx::query_scalar("insert into clients (name) values ('acme') returning id")
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
    let (env, stop, serving, _stack) = scheduler_on(stack).await;
    until("the old ones to go", || async {
        let left: Vec<String> =
            sqlx::query_scalar("select id from reports order by id").fetch_all(&env.pool).await.unwrap();
        left == ["kept", "own"]
    })
    .await;
    stop.cancel();
    serving.await.unwrap();
}
