//! Every page: without a complaint, on a phone, for everybody; and a bill.

use gristmill_core::ClientId;
use serde_json::Value;

use super::{
    browser::{self, Browser},
    database, unreadable_job,
};
use crate::{
    stack::{stack, text},
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
    let client: ClientId = sqlx::query_scalar("select id from clients where name = $1")
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
                        return [...plot.querySelectorAll('.peak, .zero')].some(w => w.getBoundingClientRect().right > drawn.left) }).length";
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
async fn a_bill_is_shown_as_it_is_mailed() {
    let stack = stack();
    let file = stack.debts("billed.csv", 200, "0", "0", 804);
    assert!(stack.run(&["upload", text(&file), "--follow"]).status.success());
    let run = stack.run(&["bill-run"]);
    assert!(run.status.success(), "{}", stderr(&run));
    let browser = Browser::open(&stack).await;
    browser.log_in(&stack).await;
    // Other tests make clients too, and the page opens with the first by name.
    let client: ClientId = sqlx::query_scalar("select client_id from uploads where filename = 'billed.csv'")
        .fetch_one(&mut database(&stack).await)
        .await
        .unwrap();
    browser.go(&format!("/bills?client={client}")).await;
    browser.find("td a[href$=\".pdf\"]").await;
    let page = browser.ask("return document.querySelector('td a[href$=\".pdf\"]').getAttribute('href')").await;
    let (status, body) = browser.fetch("GET", page.as_str().unwrap(), "").await;
    assert!(status == 200 && body.starts_with("%PDF-"), "{status}");
    assert_eq!(browser.fetch("GET", "/bills/00000000-0000-8000-8000-000000000000.pdf", "").await.0, 404);
    browser.quit().await;
}
