//! Buttons, and what the audit log has of them.

use std::time::Duration;

use serde_json::Value;

use super::{browser::Browser, database, unreadable_job};
use crate::{
    stack::{Stack, stack, text},
    stdout,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_paused_and_that_is_in_the_audit_log() {
    let stack = stack();
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    browser.go("/queues").await;
    browser.ask("window.confirm = () => true; return 1").await;
    browser.click("#qgristmill button").await;
    browser.until("the pause", "return document.querySelector('#qgristmill .state')?.textContent === 'paused'").await;
    let paused: bool = sqlx::query_scalar("select paused from gristmill.queues where name = 'gristmill'")
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
    let redriven = "select redriven from gristmill.jobs where id = $1::uuid";
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
    // Other tests put schedules meanwhile: the first row is not always the same.
    let before = ran(&stack, "billing").await;
    browser.click("#sbilling button").await;
    browser.until("the word", "return document.querySelector('#said').textContent.includes('run')").await;
    assert_eq!(ran(&stack, "billing").await, before + 1);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_not_ended_by_its_jobs() {
    let stack = stack();
    let file = stack.debts("whole.csv", 2_000, "0", "0", 803);
    assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
    // As if it were still being done.
    let (group, job): (String, String) = sqlx::query_as(
        "with open as (update gristmill.groups set state = 'open', finished_at = null
                       where id = (select group_id from uploads where filename = 'whole.csv') returning id)
         update gristmill.jobs set state = 'dead' from open where name = 'uploads.load_chunk' and group_id = open.id
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
    sqlx::query_scalar("select count(*) from gristmill.schedule_ticks where schedule = $1 and cause = 'run_now'")
        .bind(schedule)
        .fetch_one(&mut database(stack).await)
        .await
        .unwrap()
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
