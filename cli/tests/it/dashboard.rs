//! The dashboard in a real browser: Chromium, steered by its driver.

mod browser;

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use self::browser::{Browser, dashboard};
use super::{
    stack::{Stack, stack, text},
    stderr, stdout,
};

const PAGES: [&str; 17] = [
    "/",
    "/uploads",
    "/jobs",
    "/groups",
    "/queues",
    "/workers",
    "/schedules",
    "/dead",
    "/bills",
    "/mail",
    "/webhooks",
    "/normalizations",
    "/claims",
    "/usage",
    "/keys",
    "/audit",
    "/nothing-here",
];

async fn database(stack: &Stack) -> PgConnection {
    let told = std::fs::read(stack.folder.path().join(".gristmill/up.json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    PgConnection::connect(told["database_url"].as_str().unwrap()).await.unwrap()
}

/// A job that no worker can read, put into the ledger as an old binary would have.
async fn unreadable_job(stack: &Stack, name: &str) -> String {
    let id: (String,) = sqlx::query_as(
        "insert into jobs (id, name, queue, priority, payload, state, max_attempts, run_at, last_error, finished_at)
         values (gen_random_uuid(), $1, 'default', 4, '{}', 'dead', 8, now(), 'boom', now()) returning id::text",
    )
    .bind(name)
    .fetch_one(&mut database(stack).await)
    .await
    .unwrap();
    id.0
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_without_a_complaint() {
    let stack = stack();
    let file = stack.debts("shown.csv", 2_000, "0.02", "0.01", 801);
    assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    for page in PAGES {
        browser.go(page).await;
        assert!(!browser.text("h1").await.is_empty(), "{page} has no heading");
        assert!(browser.complaints().await.is_empty(), "{page}: {:?}", browser.complaints().await);
        let elsewhere = browser
            .ask("return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin))")
            .await;
        assert_eq!(elsewhere, serde_json::json!([]), "{page} asks another host");
        let jumps = browser.ask("return document.documentElement.scrollWidth > window.innerWidth").await;
        assert_eq!(jumps, false, "{page} is wider than the window");
    }
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_the_login_is_in_the_middle() {
    let stack = stack();
    let long = "Companhia Brasileira de Cobranças e Recebimentos Integrados do Sul";
    let key = stdout(&stack.run(&["keys", "create", "--client", long]));
    let key = key.trim();
    let file = stack.debts("a-file-with-a-name-that-is-rather-long-for-a-phone-2026-11-29.csv", 500, "0", "0.1", 806);
    assert!(stack.run(&["upload", text(&file), "--key", key]).status.success());
    let events = "upload.completed,upload.failed,bill.created,bill.paid";
    let url = "https://example.com/hooks/with/a/path/that/is/long/enough/to/push/everything/aside";
    let hook = stack.run(&["webhooks", "create", url, "--events", events, "--key", key]);
    let hook: Value = serde_json::from_slice(&hook.stdout).unwrap();
    assert!(stack.run(&["webhooks", "test", hook["id"].as_str().unwrap(), "--key", key]).status.success());
    let job = unreadable_job(&stack, "a.name.of.a.job.that.nobody.knows.any.more").await;
    let client: i32 = sqlx::query_scalar("select id from clients where name = $1")
        .bind(long)
        .fetch_one(&mut database(&stack).await)
        .await
        .unwrap();
    let upload: Value =
        serde_json::from_slice(&stack.run(&["uploads", "--limit", "1", "--json", "--key", key]).stdout).unwrap();

    let browser = Browser::open(&stack).await;
    for (width, height) in [(390, 844), (1440, 900)] {
        browser.size(width, height).await;
        browser.go("/login").await;
        let middle = "const box = document.querySelector('.login').getBoundingClientRect(); \
                      return Math.abs(box.left + box.width / 2 - innerWidth / 2) < 2 && box.width <= innerWidth";
        assert_eq!(browser.ask(middle).await, true, "the login box is in the middle at {width}");
    }
    browser.log_in(&stack).await;
    let mut pages: Vec<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    let of_client = ["bills", "mail", "webhooks", "claims", "usage", "normalizations"];
    pages.extend(of_client.map(|page| format!("/{page}?client={client}")));
    pages.push(format!("/webhooks/{}?client={client}", hook["id"].as_str().unwrap()));
    pages.push(format!("/uploads/{}", upload["id"].as_str().unwrap()));
    pages.extend([format!("/jobs/{job}"), "/queues/chunks".to_owned()]);
    for (width, height) in [(390, 844), (1440, 900)] {
        browser.size(width, height).await;
        for page in &pages {
            browser.go(page).await;
            let wide = browser.ask("return [document.documentElement.scrollWidth, innerWidth]").await;
            assert!(wide[0].as_u64() <= wide[1].as_u64(), "{page} is {} wide in a window of {}", wide[0], wide[1]);
            assert_eq!(wide[1], width, "{page}");
            let over = "return [...document.querySelectorAll('.plot')].filter(plot => { \
                        const drawn = plot.querySelector('svg').getBoundingClientRect(); \
                        return [...plot.querySelectorAll('.top, .zero')].some(w => w.getBoundingClientRect().right > drawn.left) }).length";
            assert_eq!(browser.ask(over).await, 0, "{page}: what a chart's axis says lies over its line");
        }
    }
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_accessible() {
    let stack = stack();
    let Some(axe) = browser::axe() else {
        eprintln!("axe-core cannot be had here: npm or the network is missing");
        return;
    };
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    let mut violations = Vec::new();
    for theme in ["light", "dark"] {
        for page in PAGES {
            browser.go(page).await;
            browser.ask(&format!("document.documentElement.dataset.theme = '{theme}'; return 1")).await;
            browser.ask(&format!("{axe}; return 1")).await;
            let found = browser
                .ask_later(
                    "axe.run().then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html).join(' '))))",
                )
                .await;
            violations.extend(found.as_array().unwrap().iter().map(|what| format!("{page} in {theme}: {what}")));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_sent_from_the_page_and_its_map_fills() {
    let stack = stack();
    let file = stack.debts("dropped.csv", 30_000, "0.01", "0", 802);
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/uploads").await;
    browser.type_into("[data-file]", text(&file)).await;
    browser.until("the upload's page", "return location.pathname.startsWith('/uploads/')").await;
    browser.until("the end", "return document.querySelector('h1 .state')?.textContent === 'completed'").await;
    let full = "const all = document.querySelectorAll('.map > *').length; \
                return all > 3 && all === document.querySelectorAll('.map .done, .map .rejects').length";
    browser.until("a full map", full).await;
    assert!(browser.text(".receipt").await.contains("30,000 read ="), "{}", browser.text(".receipt").await);
    let rejects = browser.fetch("GET", &format!("{}/rejects.csv", browser.path().await), "").await;
    assert!(rejects.1.starts_with("line,column,reason,message,"), "{}", rejects.1);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_and_its_chunks_go_on() {
    // Nobody else's worker.
    let stack = Stack::start_with(&[]);
    let file = stack.debts("killed.csv", 60_000, "0", "0", 803);
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/uploads").await;
    browser.type_into("[data-file]", text(&file)).await;
    browser.until("the upload's page", "return location.pathname.startsWith('/uploads/')").await;
    let workers = stdout(&stack.run(&["workers", "list", "--json"]));
    let worker: Value = serde_json::from_str(workers.lines().next().unwrap()).unwrap();
    let killed = std::process::Command::new("kill").args(["-9", &worker["pid"].to_string()]).status().unwrap();
    assert!(killed.success());
    browser.until("the end", "return document.querySelector('h1 .state')?.textContent === 'completed'").await;
    assert!(browser.text(".receipt").await.contains("60,000 read = 60,000 accepted"));
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_paused_and_that_is_in_the_audit_log() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/queues").await;
    browser.ask("window.confirm = () => true; return 1").await;
    browser.click("#qgristmill button").await;
    browser.until("the pause", "return document.querySelector('#qgristmill .state')?.textContent === 'paused'").await;
    let paused: bool = sqlx::query_scalar("select paused from queues where name = 'gristmill'")
        .fetch_one(&mut database(&stack).await)
        .await
        .unwrap();
    assert!(paused);
    browser.click("#qgristmill button").await;
    browser.until("the end of it", "return !!document.querySelector('#qgristmill:not(:has(.state))')").await;
    // The answer comes when the audit log has it.
    browser.until("the answer", "return document.querySelector('#said').textContent.includes('resumed')").await;
    browser.go("/audit").await;
    let log = browser.text("main").await;
    assert!(log.contains("queues.pause") && log.contains("queues.resume") && log.contains("gristmill"), "{log}");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_redriven_one_by_one_and_by_what_they_died_of() {
    let stack = stack();
    let one = unreadable_job(&stack, "nobody.one").await;
    let two = unreadable_job(&stack, "nobody.two").await;
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go(&format!("/jobs/{one}")).await;
    browser.click("main .actions .primary").await;
    // No worker knows it: it is parked, which is another state.
    let another = "const state = document.querySelector('h1 .state'); return !!state && state.textContent !== 'dead'";
    browser.until("another state", another).await;
    browser.go("/dead").await;
    browser.until("both causes", "return document.querySelector('main').textContent.includes('nobody.two')").await;
    browser
        .ask("window.confirm = () => true; [...document.querySelectorAll('tr')].find(r => r.textContent.includes('nobody.two')).querySelector('.primary').click(); return 1")
        .await;
    let redriven = "select redriven from jobs where id = $1::uuid";
    for id in [one, two] {
        for _ in 0..100 {
            let (n,): (i32,) = sqlx::query_as(redriven).bind(&id).fetch_one(&mut database(&stack).await).await.unwrap();
            if n == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (n,): (i32,) = sqlx::query_as(redriven).bind(&id).fetch_one(&mut database(&stack).await).await.unwrap();
        assert_eq!(n, 1, "{id}");
    }
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_run_now() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/schedules").await;
    let name = browser.ask("return document.querySelector('tbody tr').id.slice(1)").await;
    let before: i64 = ran(&stack, name.as_str().unwrap()).await;
    browser.click("tbody tr button").await;
    browser.until("the word", "return document.querySelector('#said').textContent.includes('run')").await;
    assert_eq!(ran(&stack, name.as_str().unwrap()).await, before + 1);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_not_ended_by_its_jobs() {
    let stack = stack();
    let file = stack.debts("whole.csv", 2_000, "0", "0", 803);
    assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
    // As if it were still being done.
    let (group, job): (String, String) = sqlx::query_as(
        "with open as (update groups set state = 'open', finished_at = null
                       where id = (select group_id from uploads) returning id)
         update jobs set state = 'dead' from open where name = 'uploads.load_chunk' and group_id = open.id
         returning open.id::text, jobs.id::text",
    )
    .fetch_one(&mut database(&stack).await)
    .await
    .unwrap();
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    let token = browser.ask("return document.body.dataset.csrf").await;
    for (page, verb) in [(format!("groups/{group}"), "cancel"), (format!("jobs/{job}"), "discard")] {
        browser.go(&format!("/{page}")).await;
        assert_eq!(browser.ask("return document.querySelectorAll('main button.danger').length").await, 0, "{page}");
        let (status, said) = browser.fetch("POST", &format!("/act/{page}/{verb}"), token.as_str().unwrap()).await;
        assert_eq!(status, 409, "{said}");
        assert!(said.contains("cancel that instead"), "{said}");
    }
    browser.quit().await;
}

async fn ran(stack: &Stack, schedule: &str) -> i64 {
    sqlx::query_scalar("select count(*) from schedule_ticks where schedule = $1 and cause = 'run_now'")
        .bind(schedule)
        .fetch_one(&mut database(stack).await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_key_and_a_viewer_only_looks() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.go("/jobs").await;
    assert_eq!(browser.path().await, "/login");
    browser.enter_key("gm_0123").await;
    assert!(browser.text(".fault").await.contains("not the key"), "{}", browser.text(".fault").await);
    let clients = stdout(&stack.run(&["keys", "create", "--client", "somebody"]));
    browser.enter_key(clients.trim()).await;
    assert!(browser.text(".fault").await.contains("not the key"), "a client's key is not enough");

    let made = stack.run(&["keys", "create", "--client", "somebody", "--viewer"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let key = stdout(&made);
    browser.enter_key(key.trim()).await;
    assert_eq!(browser.path().await, "/");
    browser.go("/queues").await;
    assert_eq!(browser.ask("return document.querySelectorAll('main button').length").await, 0);
    let token = browser.ask("return document.body.dataset.csrf").await;
    let pause = "/act/queues/gristmill/pause";
    assert_eq!(browser.fetch("POST", pause, token.as_str().unwrap()).await.0, 403);
    assert_eq!(browser.fetch("POST", pause, "wrong").await.0, 403);
    let refused = reqwest_status(&stack, key.trim()).await;
    assert_eq!(refused, 401, "the API does not know a viewer's key");

    sqlx::query("delete from dashboard_sessions where who = 'somebody'")
        .execute(&mut database(&stack).await)
        .await
        .unwrap();
    assert_eq!(browser.fetch("POST", pause, token.as_str().unwrap()).await.0, 401);
    browser.go("/jobs").await;
    assert_eq!(browser.path().await, "/login", "the session has ended");
    browser.quit().await;

    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let log_in = async |key: &str| {
        let login = client.post(format!("{}/login", dashboard(&stack)));
        let login = login.header("content-type", "application/x-www-form-urlencoded").body(format!("key={key}"));
        login.send().await.unwrap().status().as_u16()
    };
    // Other tests come with this one, from the same address.
    let development = std::fs::read_to_string(stack.folder.path().join(".gristmill/dev.key")).unwrap();
    assert_eq!(log_in(development.trim()).await, 303);
    for _ in 0..10 {
        log_in("gm_0123").await;
    }
    assert_eq!(
        (log_in("gm_0123").await, log_in(key.trim()).await),
        (429, 303),
        "who tries keys keeps nobody out who was here"
    );
}

async fn reqwest_status(stack: &Stack, key: &str) -> u16 {
    let url = format!("{}/v1/uploads", stack.api);
    reqwest::Client::new().get(url).bearer_auth(key).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_on_the_page_soon() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/queues").await;
    browser
        .until(
            "a live page",
            "return document.querySelector('[data-fresh]') && !document.querySelector('.fresh.stale')",
        )
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(stack.run(&["queues", "pause", "webhooks"]).status.success());
    browser.until("the pause", "return document.querySelector('#qwebhooks .state')?.textContent === 'paused'").await;
    assert!(stack.run(&["queues", "resume", "webhooks"]).status.success());
    browser.until("its end", "return !!document.querySelector('#qwebhooks:not(:has(.state))')").await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_and_wrong_ones_refused() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/queues/payments").await;
    browser.type_into("[name=concurrency]", "7").await;
    browser.click("main form .primary").await;
    browser.until("the answer", "return document.querySelector('#said').textContent.includes('these limits')").await;
    let kept =
        || -> Value { serde_json::from_str(&stdout(&stack.run(&["queues", "show", "payments", "--json"]))).unwrap() };
    assert_eq!(kept()["limits"]["concurrency"], 7);
    let refused = "fetch('/act/queues/payments/limits', { method: 'POST', body: 'concurrency=many', \
                   headers: { 'X-CSRF-Token': document.body.dataset.csrf } }).then(async r => done([r.status, await r.text()]))";
    let refused = browser.ask_later(refused).await;
    assert_eq!(refused[0], 409, "{refused}");
    assert!(refused[1].as_str().unwrap().contains("`concurrency` cannot be many"), "{refused}");
    assert_eq!(kept()["limits"]["concurrency"], 7);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_shown_as_it_is_mailed() {
    let stack = stack();
    let file = stack.debts("billed.csv", 200, "0", "0", 804);
    assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
    let run = stack.run(&["bill-run"]);
    assert!(run.status.success(), "{}", stderr(&run));
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/bills").await;
    let page = browser.ask("return document.querySelector('td a[href$=\".pdf\"]').getAttribute('href')").await;
    let (status, body) = browser.fetch("GET", page.as_str().unwrap(), "").await;
    assert!(status == 200 && body.starts_with("%PDF-"), "{status}");
    assert_eq!(browser.fetch("GET", "/bills/00000000-0000-8000-8000-000000000000.pdf", "").await.0, 404);
    browser.quit().await;
}

/// A link logs in once.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_does_not_work_twice() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    let token = "used-in-a-test";
    sqlx::query("insert into dashboard_links values (sha256($1::bytea), 'tester', now() + interval '1 hour')")
        .bind(token.as_bytes())
        .execute(&mut database(&stack).await)
        .await
        .unwrap();
    browser.go(&format!("/login?token={token}")).await;
    assert_eq!(browser.path().await, "/");
    browser.go(&format!("/login?token={token}")).await;
    assert_eq!(browser.path().await, "/", "who is in stays in");
    browser.quit().await;
    let browser = Browser::open(&stack).await;
    browser.go(&format!("/login?token={token}")).await;
    assert!(browser.text(".fault").await.contains("has been used"));
    let link = stdout(&stack.run(&["dashboard"]));
    let path = link.trim().strip_prefix(&dashboard(&stack)).unwrap();
    browser.go(path).await;
    assert_eq!(browser.path().await, "/");
    browser.quit().await;
}

/// Not a test: draws the README's picture (`make pictures`) of what it has sent.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "draws the README's picture"]
async fn pictures() {
    let stack = Stack::start_with(&[("GRISTMILL_CHUNK_BYTES", "2MiB")]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, rows, seed) in [("march.csv", 400_000, 11), ("april.csv", 600_000, 12), ("may.csv", 900_000, 13)] {
        let file = stack.debts(name, rows, "0.01", "0.01", seed);
        assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
        tokio::time::sleep(Duration::from_secs(12)).await;
    }
    for _ in 0..3 {
        unreadable_job(&stack, "reports.nightly").await;
    }
    let file = stack.debts("june.csv", 6_000_000, "0.005", "0.01", 14);
    assert!(stack.run(&["upload", text(&file), "--no-follow"]).status.success());
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::write(folder.join("dashboard.png"), browser.picture().await).unwrap();
    browser.quit().await;
}
