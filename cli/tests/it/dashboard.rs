//! The dashboard in a real browser: Chromium, steered by its driver.

mod access;
mod browser;
mod buttons;
mod live;
mod pages;

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use self::browser::Browser;
use super::stack::{Stack, text};

async fn database(stack: &Stack) -> PgConnection {
    let told = std::fs::read(stack.folder.path().join(".gristmill/up.json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    PgConnection::connect(told["database_url"].as_str().unwrap()).await.unwrap()
}

/// A job that no worker can read, put into the ledger as an old binary would have.
async fn unreadable_job(stack: &Stack, name: &str) -> String {
    let id: (String,) = sqlx::query_as(
        "insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, run_at, last_error, finished_at)
         values (gen_random_uuid(), $1, 'default', 4, '{}', 'dead', 8, now(), 'boom', now()) returning id::text",
    )
    .bind(name)
    .fetch_one(&mut database(stack).await)
    .await
    .unwrap();
    id.0
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
