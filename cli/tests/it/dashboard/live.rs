//! What is on an open page soon after it happens.

use std::time::Duration;

use super::browser::Browser;
use crate::stack::{Stack, stack, text};

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
                return all > 3 && all === document.querySelectorAll('.map .done, .map .flawed').length";
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
    let killed = std::process::Command::new("kill").args(["-9", &stack.worker()["pid"].to_string()]).status().unwrap();
    assert!(killed.success());
    browser.until("the end", "return document.querySelector('h1 .state')?.textContent === 'completed'").await;
    assert!(browser.text(".receipt").await.contains("60,000 read = 60,000 accepted"));
    browser.quit().await;
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
