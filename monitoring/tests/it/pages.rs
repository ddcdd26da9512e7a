//! What pages say when something is wrong, and of files that were not taken whole.

use gristmill_platform::engines::Engine;
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
    // What only Redis knows is not said to be otherwise.
    let queues = site.page("/queues").await.1;
    assert!(queues.contains("Redis does not answer"), "{queues}");
    let (status, queue) = site.page("/queues/chunks").await;
    assert!(status == 503 && queue.contains("Redis is unreachable"), "{status}: {queue}");
    let jobs = site.page("/jobs?state=running").await.1;
    assert!(jobs.contains("nobody knows which jobs run") && !jobs.contains("No job matches"), "{jobs}");
    let workers = site.page("/workers").await.1;
    assert!(workers.contains("nobody knows who works"), "{workers}");
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
    let mut redis =
        redis::Client::open(site.stack.redis_url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
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
    let insert = "insert into groups (id, policy, created_at) values (gen_random_uuid(), 'continue', now() - $1 * interval '1 hour')";
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

/// As when Postgres hangs: it is there, and says nothing.
async fn hold(site: &Site, table: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut held = site.stack.pool.begin().await.unwrap();
    sqlx::raw_sql(&format!("lock table {table} in access exclusive mode")).execute(&mut *held).await.unwrap();
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
    // Each fault of the example has a line.
    sqlx::query(
        r#"update rejects set message = 'email is "x"', other_faults = jsonb_build_array(
               jsonb_build_object('column', 'debtAmount', 'code', 'bad_amount', 'message', 'debtAmount is "<b>"'),
               jsonb_build_object('column', null, 'code', 'bad_date', 'message', 'debtDueDate is "y"'))
           where upload_id = $1 and line = 2"#,
    )
    .bind(id)
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    let shown: Vec<&str> = text.split(r#"<div class="wrong">"#).skip(1).collect();
    let shown: Vec<&str> = shown.iter().filter_map(|rest| rest.split("</div>").next()).collect();
    let faults = ["email is &#34;x&#34;", "debtAmount is &#34;&#60;b&#62;&#34;", "debtDueDate is &#34;y&#34;", "wrong"];
    assert_eq!(shown, faults, "those of a bad_email and those of a bad_date");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_tells_no_reasons_that_do_not_add_up() {
    let site = Site::open().await;
    let rejects = [("bad_email", 3), ("duplicate", 4)];
    let undone = upload(&site, "cancelled", Some("undone"), [7, 3, 4], &rejects).await;
    let atomic = upload(&site, "failed", Some("rejected_rows"), [7, 3, 4], &rejects).await;
    for removed in [false, true] {
        let (_, text) = site.page(&format!("/uploads/{undone}")).await;
        assert!(!text.contains("Reject reasons") && !text.contains("rejects.csv"), "{text}");
        assert!(text.contains(">3</p><p class=\"quiet\">which ones went with its rows"), "removed: {removed}: {text}");
        // As purging does.
        sqlx::query("delete from rejects where upload_id = $1").bind(undone).execute(&site.stack.pool).await.unwrap();
    }
    let (_, text) = site.page(&format!("/uploads/{atomic}")).await;
    assert!(text.contains("Reject reasons") && text.contains("bad_email") && !text.contains("went with"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_that_say_something_else_are_counted_apart() {
    let site = Site::open().await;
    let id = upload(&site, "completed", None, [7, 0, 1_230], &[("duplicate", 1_230)]).await;
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    assert!(!text.contains("conflicting"), "{text}");
    for statement in [
        "update upload_progress set conflicting = 1029",
        "update rejects set differs = '{debtAmount}', raw = 'another amount' where line > 202",
    ] {
        sqlx::query(statement).execute(&site.stack.pool).await.unwrap();
    }
    let (_, text) = site.page(&format!("/uploads/{id}")).await;
    for (code, n, line, example) in
        [("duplicate", "201", "2", "the record"), ("conflicting_duplicate", "1,029", "203", "another amount")]
    {
        let cells = format!(
            r#"<td><code>{code}</code></td><td class="number">{n}</td><td class="number">{line}</td><td><div class="raw">{example}</div>"#
        );
        assert!(text.contains(&cells), "{cells}: {text}");
    }
    assert!(text.contains("1,029 say something else than the row that counts"), "{text}");
    assert!(text.contains("1,230 duplicate, 1,029 of them conflicting;"), "{text}");
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
        assert!(!one.contains(r#"class="under-way""#) && !one.contains("so far"), "it has ended: {one}");
    }
    upload(&site, "completed", None, [4_881, 1, 0], &[]).await;
    assert!(site.page("/uploads").await.1.contains("4,881"));
}

async fn client(site: &Site, name: &str) -> i32 {
    let made = "insert into clients (name) values ($1) returning id";
    sqlx::query_scalar(made).bind(name).fetch_one(&site.stack.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_those_of_all_clients_and_the_failing_ones_are_found() {
    let site = Site::open().await;
    let (one, other) = (client(&site, "Zebra").await, client(&site, "acme").await);
    for (owner, url, failing) in [(one, "https://one.example/h", false), (other, "https://other.example/h", true)] {
        sqlx::query(
            "insert into webhook_endpoints (id, client_id, url, events, secret, failing_since)
             values (gen_random_uuid(), $1, $2, array['bill.paid'], '\\x00', case when $3 then now() end)",
        )
        .bind(owner)
        .bind(url)
        .bind(failing)
        .execute(&site.stack.pool)
        .await
        .unwrap();
    }
    let (_, all) = site.page("/webhooks").await;
    assert!(all.contains("one.example") && all.contains("other.example") && all.contains("All clients"), "{all}");
    let (_, failing) = site.page("/webhooks?failing=yes").await;
    assert!(!failing.contains("one.example") && failing.contains("other.example"), "{failing}");
    let chosen = site.page(&format!("/webhooks?client={one}")).await.1;
    assert!(chosen.contains("one.example") && !chosen.contains("other.example"), "{chosen}");
    let overview = site.page("/").await.1;
    assert!(overview.contains(r#"<a href="/webhooks?failing=yes">1 webhook fails</a>"#), "{overview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_that_was_chosen_is_kept() {
    let mut site = Site::open().await;
    let (_, second) = (client(&site, "acme").await, client(&site, "Zebra").await);
    let chosen = site.ask(&format!("/mail?client={second}")).await;
    let kept = chosen.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    site.remember(&kept);
    for page in ["/bills", "/claims", "/usage", "/normalizations", "/webhooks"] {
        let answer = site.ask(page).await;
        assert_eq!(answer.status(), 303, "{page}");
        let there = format!("{page}?client={second}");
        assert_eq!(answer.headers()["location"], there);
        // Of a client that has nothing yet.
        assert_eq!(site.ask(&there).await.status(), 200, "{there}");
    }
    let all = site.ask("/webhooks?client=all").await;
    assert!(all.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(site.ask("/webhooks?failing=yes").await.status(), 200, "of all clients");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_says_whose_it_is() {
    let site = Site::open().await;
    let owner = client(&site, "acme").await;
    sqlx::raw_sql(&format!(
        "insert into groups (id, policy) values ('01940000-0000-7000-8000-000000000002', 'fail_fast');
         insert into uploads (id, client_id, kind, policy, filename, state, group_id, first_block)
         values ('01940000-0000-7000-8000-000000000001', {owner}, 'debts', 'partial', 'march.csv', 'processing',
                 '01940000-0000-7000-8000-000000000002', 0)"
    ))
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, text) = site.page("/groups").await;
    let upload = r#"<a href="/uploads/01940000-0000-7000-8000-000000000001">march.csv</a></td><td class="name" title="acme">acme</td>"#;
    assert!(text.contains(upload), "{text}");
    let (_, one) = site.page("/groups/01940000-0000-7000-8000-000000000002").await;
    let of = r#"<dt>Of</dt><dd><a href="/uploads/01940000-0000-7000-8000-000000000001">march.csv</a></dd><dt>Client</dt><dd>acme</dd>"#;
    assert!(one.contains(of), "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_has_no_time_left() {
    let site = Site::open().await;
    sqlx::raw_sql(
        "insert into queues (name, paused) values ('chunks', true);
         insert into jobs (id, queue, name, payload, priority, max_attempts, state)
         select gen_random_uuid(), 'chunks', 'x', '{}', 5, 8, 'available' from generate_series(1, 3)",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let queues = site.until("/queues", "the jobs", |text| text.contains(r#"queue=chunks">3</a>"#)).await;
    assert!(queues.contains(r#"<td class="number">paused</td>"#), "{queues}");
    let overview = site.page("/").await.1;
    assert!(!overview.contains("of work left") && !overview.contains(">0 ms</td>"), "{overview}");
}

/// A schedule of every minute has more ticks in a day than a page of ticks.
#[tokio::test(flavor = "multi_thread")]
async fn every_tick_of_a_day_is_in_its_strip() {
    let site = Site::open().await;
    sqlx::raw_sql(
        "insert into schedules (name, cron, time_zone, job, next_at)
         values ('often', '* * * * *', 'UTC', '{\"name\": \"x\", \"queue\": \"q\", \"priority\": 5, \"max_attempts\": 8, \"payload\": {}}',
                 now() + interval '1 day');
         insert into schedule_ticks (schedule, fire_at, cause, job_id)
         select 'often', date_trunc('hour', now()) - n * interval '1 minute', 'due', gen_random_uuid() from generate_series(1, 1320) n;
         insert into schedule_ticks (schedule, fire_at, cause)
         select 'often', date_trunc('hour', now()) - interval '20 hours 30 seconds', 'missed'",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, text) = site.page("/schedules").await;
    assert_eq!(text.matches(": 30 ran, 0 died, 0 missed").count(), 43, "{text}");
    assert_eq!(text.matches(": 30 ran, 0 died, 1 missed").count(), 1, "{text}");
}

/// Three pages, with a way back from each.
#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_and_back() {
    let site = Site::open().await;
    let owner = client(&site, "acme").await;
    sqlx::raw_sql(&format!(
        "insert into normalizations (id, client_id, date, description, amount_minor, state)
         select ('01940000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, {owner}, '2026-01-01', 'SHOP ' || n, 100, 'queued'
         from generate_series(1, 120) n"
    ))
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, first) = site.page("/normalizations").await;
    assert!(first.contains("SHOP 120<") && !first.contains("SHOP 70<") && !first.contains(">Newest<"), "{first}");
    let older = |text: &str| {
        let end = text.find(r#"">Older</a>"#).unwrap();
        let start = text[..end].rfind("href=\"").unwrap() + 6;
        text[start..end].replace("&#38;", "&")
    };
    let (_, second) = site.page(&format!("/normalizations{}", older(&first))).await;
    assert!(second.contains("SHOP 70<") && !second.contains("SHOP 120<") && second.contains(">Newest<"), "{second}");
    let (_, third) = site.page(&format!("/normalizations{}", older(&second))).await;
    assert!(third.contains("SHOP 1<") && !third.contains(">Older<"), "{third}");
}

#[tokio::test]
async fn an_address_that_no_text_can_equal_is_refused() {
    let site = Site::open().await;
    for path in [
        "/jobs?error=%00",
        "/jobs?error=%FF",
        "/mail?recipient=a%00",
        "/bills/a%00b",
        "/live?to=/jobs%3Ferror%3D%2500",
        "/login?token=%00",
    ] {
        let (status, text) = site.page(path).await;
        assert_eq!(status, 400, "{path}: {text}");
    }
    // An escaped escape, and other letters, are texts.
    for path in ["/jobs?error=%2500", "/jobs?error=%C3%A9"] {
        assert_eq!(site.page(path).await.0, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_sum_may_have_more_than_64_bits() {
    let site = Site::open().await;
    sqlx::raw_sql(
        "insert into clients (id, name) overriding system value values (77, 'dentists');
         insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor)
         values (gen_random_uuid(), 77, '1', '1497775530', '2024-02-03', 1, 999999999999);
         insert into provider_totals values (77, '1497775530', 9300000, 9300000, 9223372036854775808),
             (77, '1234567893', 9300000, 9300000, -9300000000000000000)",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (status, text) = site.page("/claims?client=77").await;
    assert_eq!(status, 200, "{text}");
    for sum in ["92,233,720,368,547,758.08 USD", "−93,000,000,000,000,000.00 USD", "9,999,999,999.99 USD"] {
        assert!(text.contains(sum), "{sum}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_claim_whose_payment_is_dead_says_so() {
    let site = Site::open().await;
    let (claim, job) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let sql = |sql: String| {
        let pool = site.stack.pool.clone();
        async move { sqlx::raw_sql(&sql).execute(&pool).await.map(drop).unwrap() }
    };
    sql(format!(
        "insert into clients (id, name) overriding system value values (77, 'dentists');
         insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor)
         values ('{claim}', 77, '1', '1497775530', '2024-02-03', 1, 900);
         insert into jobs (id, name, queue, priority, payload, state, max_attempts, client_id, last_error, finished_at)
         values ('{job}', 'payments.process', 'payments', 5, '{{\"claim_id\": \"{claim}\"}}', 'dead', 5, 77,
                 'the account of GRP-1000 is frozen', now())"
    ))
    .await;
    let page = async || site.page(&format!("/claims/{claim}?client=77")).await;
    let (status, text) = page().await;
    assert_eq!(status, 200, "{text}");
    for said in ["failed for good", "the account of GRP-1000 is frozen", "payments-redrive", &format!("/jobs/{job}")] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // It is tried again: nothing keeps it from being paid.
    sql(format!("update jobs set state = 'available', finished_at = null where id = '{job}'")).await;
    assert!(!page().await.1.contains("It is not paid"));
    sql(format!("update jobs set state = 'dead' where id = '{job}'; update claims set state = 'posted'")).await;
    assert!(!page().await.1.contains("It is not paid"));
}
