//! What the overview says needs attention.

use gristmill_platform::engines::Engine;
use uuid::Uuid;

use super::client;
use crate::site::Site;

const CALM: &str = "Nothing needs attention";

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_needs_attention_until_it_is_back() {
    let mut site = Site::open().await;
    let alone = site.until("/", "the engines", |text| text.contains("state good")).await;
    assert!(alone.contains("No worker runs") && alone.contains("No scheduler was heard of"), "{alone}");
    assert!(!alone.contains(CALM) && !alone.contains("unreachable"), "{alone}");

    site.engines.kill(Engine::Redis).await.unwrap();
    let without = site.until("/", "Redis' absence", |text| text.contains("Redis is unreachable")).await;
    assert!(without.contains(r#"<span class="state bad">unreachable</span>"#), "{without}");
    assert!(!without.contains(CALM) && !without.contains("No worker runs"), "nobody knows that: {without}");
    // What only Redis knows is not said to be otherwise.
    let queues = site.page("/queues").await.1;
    assert!(queues.contains("Redis does not answer"), "{queues}");
    let (status, queue) = site.page("/queues/chunks").await;
    assert!(status == 503 && queue.contains("Redis is unreachable"), "{status}: {queue}");
    let jobs = site.page("/jobs?state=running").await.1;
    assert!(jobs.contains("it is unknown which jobs run") && !jobs.contains("No job matches"), "{jobs}");
    let workers = site.page("/workers").await.1;
    assert!(workers.contains("it is unknown which workers run"), "{workers}");
    site.engines.restart(Engine::Redis).await.unwrap();
    site.until("/", "its return", |text| !text.contains("unreachable") && text.contains("No worker runs")).await;

    site.engines.kill(Engine::Postgres).await.unwrap();
    let without = site.until("/", "Postgres' absence", |text| text.contains("Postgres is unreachable")).await;
    assert!(without.contains("<title>Postgres is unreachable · Gristmill</title>"), "{without}");
    assert!(without.contains(">Retry</a>") && without.contains("http-equiv=\"refresh\""), "{without}");
    site.engines.restart(Engine::Postgres).await.unwrap();
    site.until("/", "its return", |text| text.contains("<h1>Overview</h1>") && !text.contains("unreachable")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_almost_full_needs_attention() {
    let site = Site::open().await;
    let mut redis = site.stack.redis_connection().await;
    let mut limit = async |bytes: u64| {
        let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async::<()>(&mut redis).await;
        set.unwrap();
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut redis).await.unwrap();
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        used.trim().parse::<u64>().unwrap()
    };
    let used = limit(0).await;
    limit(used * 11 / 10).await;
    site.until("/", "the warning", |text| text.contains("of its memory: when it is full")).await;
    limit(used * 10).await;
    site.until("/", "its end", |text| !text.contains("of its memory")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_nobody_seals_needs_attention() {
    let site = Site::open().await;
    let insert = "insert into gristmill.groups (id, policy, created_at) values (gen_random_uuid(), 'continue', now() - $1 * interval '1 hour')";
    sqlx::query(insert).bind(11).execute(&site.stack.pool).await.unwrap();
    assert!(!site.page("/").await.1.contains("has got none for half a day"));
    sqlx::query(insert).bind(13).execute(&site.stack.pool).await.unwrap();
    assert!(site.page("/").await.1.contains("1 group takes members and has got none for half a day"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_was_heard_of_is_not_missed() {
    let site = Site::open().await;
    let sign = "insert into role_signs values ('scheduler', clock_timestamp() - make_interval(mins => $1))";
    sqlx::query(sign).bind(10).execute(&site.stack.pool).await.unwrap();
    assert!(site.page("/").await.1.contains("No scheduler was heard of"));
    sqlx::query("update role_signs set seen_at = clock_timestamp() + interval '1 hour'")
        .execute(&site.stack.pool)
        .await
        .unwrap();
    assert!(!site.page("/").await.1.contains("No scheduler was heard of"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_billing_run_says_why_and_what_to_do() {
    let site = Site::open().await;
    let owner = client(&site, "acme").await;
    assert!(!site.page("/").await.1.contains("is held"));
    let run: Uuid = sqlx::query_scalar(
        "insert into billing_runs (id, client_id, cause, state, detail, bills, amount_minor, currency)
         values (gen_random_uuid(), $1, 'schedule', 'held', 'far more bills than usual', 0, 0, 'BRL') returning id",
    )
    .bind(owner)
    .fetch_one(&site.stack.pool)
    .await
    .unwrap();
    let (_, overview) = site.page("/").await;
    let link = format!(r#"<a href="/bills?client={owner}">1 billing run is held and waits for an approval</a>"#);
    assert!(overview.contains(&link), "{overview}");
    let (_, bills) = site.page(&format!("/bills?client={owner}")).await;
    assert!(bills.contains("far more bills than usual"), "{bills}");
    assert!(bills.contains(&format!("gristmill bill-run --approve {run}")), "{bills}");
}
