//! What pages say when something is wrong, and of files that were not taken whole.

use gristmill_platform::engines::Engine;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

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

/// As when Postgres hangs: it is there, and says nothing.
async fn hold(site: &Site, table: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut held = site.stack.pool.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("lock table {table} in access exclusive mode")))
        .execute(&mut *held)
        .await
        .unwrap();
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_told_in_the_page() {
    let site = Site::open().await;
    for (table, knows_who) in [("dashboard_sessions", false), ("uploads", true)] {
        let held = hold(&site, table).await;
        let (status, text) = site.page("/uploads").await;
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("<title>The database does not answer in time · Gristmill</title>"), "{text}");
        assert!(text.contains("/assets/app.css") && text.contains(">Retry</a>"), "{text}");
        assert_eq!(text.contains("signed in as tester"), knows_who, "{text}");
        held.rollback().await.unwrap();
        assert_eq!(site.page("/uploads").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_hears_how_old_it_is_and_why() {
    let site = Site::open().await;
    let beat = site.event("/uploads", "a beat", |event| event.starts_with("event: beat")).await;
    assert!(beat.contains(r#""age":"#) && beat.contains(r#""fault":null"#), "{beat}");
    let held = hold(&site, "uploads").await;
    let fault = |event: &str| event.starts_with("event: beat") && !event.contains(r#""fault":null"#);
    let beat = site.event("/uploads", "a fault", fault).await;
    assert!(beat.contains("The database does not answer in time"), "{beat}");
    held.rollback().await.unwrap();
    site.event("/uploads", "its end", |event| event.contains(r#""fault":null"#)).await;
}

/// Who comes to a page that others look at has just been given a newer one than they had.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_first_is_not_older_than_the_page() {
    let site = Site::open().await;
    upload(&site, "completed", None, [0, 0, 0], &[]).await;
    let first = site.event("/uploads", "the page", |event| event.starts_with("data:")).await;
    assert_eq!(first.matches("rejected.csv").count(), 1, "{first}");
    for many in 2..6 {
        upload(&site, "completed", None, [0, 0, 0], &[]).await;
        let first = site.event("/uploads", "the page", |event| event.starts_with("data:")).await;
        assert_eq!(first.matches("rejected.csv").count(), many, "{first}");
    }
}

/// An upload with these counts (accepted, rejected, duplicate) and so many rejects of each code.
async fn upload(site: &Site, state: &str, reason: Option<&str>, counts: [i64; 3], rejects: &[(&str, i64)]) -> Uuid {
    let id: Uuid = sqlx::query_scalar(
        "with owner as (insert into clients (name) values ('acme') on conflict (name) do update set name = 'acme' returning id)
         insert into uploads (id, client_id, kind, policy, filename, state, reason, group_id, first_block, completed_at)
         select gen_random_uuid(), id, 'debts', 'partial', 'rejected.csv', $1, $2, gen_random_uuid(), 0, now() from owner
         returning id",
    )
    .bind(state)
    .bind(reason)
    .fetch_one(&site.stack.pool)
    .await
    .unwrap();
    let [accepted, rejected, duplicate] = counts;
    sqlx::query(
        "insert into upload_progress (upload_id, rows_read, accepted, rejected, duplicate) values ($1, $2 + $3 + $4, $2, $3, $4)",
    )
    .bind(id)
    .bind(accepted)
    .bind(rejected)
    .bind(duplicate)
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let mut line = 2;
    for (code, n) in rejects {
        sqlx::query(
            "insert into rejects (upload_id, line, chunk_no, code, message, raw)
             select $1, $2 + n, 0, $3, 'wrong', 'the record'::bytea from generate_series(0, $4 - 1) n",
        )
        .bind(id)
        .bind(line)
        .bind(code)
        .bind(n)
        .execute(&site.stack.pool)
        .await
        .unwrap();
        line += n;
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reject_is_in_the_count_of_its_reason() {
    let site = Site::open().await;
    let rejects = [("bad_email", 21_000), ("duplicate", 9_000), ("bad_date", 4_321)];
    let id = upload(&site, "completed", None, [7, 25_321, 9_000], &rejects).await;
    let cells = |code: &str, n: &str| format!(r#"<td><code>{code}</code></td><td class="number">{n}</td>"#);
    let counted = |text: &str| {
        [("bad_email", "21,000"), ("duplicate", "9,000"), ("bad_date", "4,321")]
            .iter()
            .all(|(code, n)| text.contains(&cells(code, n)))
    };
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    assert!(counted(&text), "of an upload whose chunks did not count: {text}");
    // While it runs only what chunks have counted is looked at.
    sqlx::query(
        "insert into chunk_reasons values ($1, 0, 'bad_email', 20000, 2), ($1, 1, 'bad_email', 1000, 20002), ($1, 1, 'bad_date', 4321, 30002)",
    )
    .bind(id)
    .execute(&site.stack.pool)
    .await
    .unwrap();
    sqlx::query("update uploads set state = 'processing', completed_at = null where id = $1")
        .bind(id)
        .execute(&site.stack.pool)
        .await
        .unwrap();
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    assert!(counted(&text) && text.contains("the record"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_kept_is_not_accepted() {
    let site = Site::open().await;
    for (state, reason) in [("failed", "rejected_rows"), ("cancelled", "cancelled"), ("cancelled", "undone")] {
        let id = upload(&site, state, Some(reason), [4_881, 1, 0], &[]).await;
        let (_, list) = site.page("/uploads").await;
        assert!(!list.contains("4,881"), "{state}: {list}");
        let (_, one) = site.page(&format!("/uploads/{id}")).await;
        assert!(one.contains(r#"<h2>Accepted</h2><p class="figure">0</p>"#), "{state}: {one}");
        assert!(one.contains("4,881 valid rows, none of them kept"), "{state}: {one}");
    }
    upload(&site, "completed", None, [4_881, 1, 0], &[]).await;
    assert!(site.page("/uploads").await.1.contains("4,881"));
}
