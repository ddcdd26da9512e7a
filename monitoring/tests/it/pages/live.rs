//! Open pages: how old they are, and what comes first.

use super::upload;
use crate::site::Site;

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
