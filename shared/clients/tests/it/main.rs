//! Settings on a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use gristmill_clients::{
    Branding, ClaimGrouping, ClaimSettings, Cycle, Heuristic, Numbering, Settings,
    settings::{self, ensure, find, put},
};
use gristmill_core::ClientId;
use gristmill_platform::testing::stack;
use serde_json::json;
use sqlx::PgPool;

/// Columns that are nobody's setting.
const OTHERS: [&str; 3] = ["client_id", "next_number", "updated_at"];

/// Every setting is another one than by default.
fn all_set() -> Settings {
    Settings {
        language: "es".into(),
        time_zone: "Europe/Madrid".into(),
        currency: "EUR".into(),
        operator_email: Some("o'brien+\"x\"\\@example.com".into()),
        automatic: false,
        cycle: Cycle::Monthly,
        cycle_day: 31,
        days_ahead: 3_650,
        numbering: Numbering::Gapless,
        safety_factor: 0.1 + 0.2,
        reminder_days: vec![0, 365],
        overdue_days: vec![],
        issuer: json!({ "beneficiary": { "name": "Ação — ½ 漢", "address": ["a", "b"] }, "n": 1.5, "none": null }),
        branding: Branding { logo: Some("data:image/png;base64,AA==".into()), accent: Some("#1f4e8c".into()) },
        heuristic: Heuristic::External,
        heuristic_url: Some("https://example.com/{}?a=$1".into()),
        reports_url: Some("https://example.com/{id}".into()),
        reports_max_age: 31_536_000,
        claims: ClaimSettings { rules: vec!["npi_luhn".into()], grouping: ClaimGrouping::Line },
    }
}

async fn client(pool: &PgPool, name: &str) -> ClientId {
    sqlx::query_scalar("insert into clients (name) values ($1) returning id").bind(name).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_found_and_nobody_elses_changes() {
    let stack = stack().await;
    let pool = &stack.pool;
    let (one, other) = (client(pool, "one").await, client(pool, "other").await);
    assert_eq!(find(pool, one).await.unwrap(), Settings::default(), "without a row");
    put(pool, one, &all_set()).await.unwrap();
    assert_eq!(find(pool, one).await.unwrap(), all_set(), "a new row");
    assert_eq!(find(pool, other).await.unwrap(), Settings::default());

    ensure(pool, other).await.unwrap();
    assert_eq!(find(pool, other).await.unwrap(), Settings::default(), "the table's defaults are the program's");
    sqlx::query("update client_settings set next_number = 7").execute(pool).await.unwrap();
    put(pool, other, &all_set()).await.unwrap();
    assert_eq!(find(pool, other).await.unwrap(), all_set(), "over a row");
    put(pool, one, &Settings::default()).await.unwrap();
    assert_eq!(find(pool, one).await.unwrap(), Settings::default(), "back, with nulls where nothing is set");
    let numbers: Vec<i64> =
        sqlx::query_scalar("select next_number from client_settings").fetch_all(pool).await.unwrap();
    assert_eq!(numbers, [7, 7], "bills go on with their numbers");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_column_is_a_setting_by_its_name() {
    let stack = stack().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select column_name::text from information_schema.columns where table_name = 'client_settings'",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    let columns: BTreeSet<String> = columns.into_iter().filter(|name| !OTHERS.contains(&name.as_str())).collect();
    let fields = serde_json::to_value(all_set()).unwrap();
    let fields: BTreeSet<String> = fields.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, columns, "a column that is no field is lost, a field that is no column cannot be kept");
}

#[test]
fn faults_come_in_the_order_of_the_settings() {
    let bad = settings::Settings {
        language: "xx".into(),
        time_zone: "Nowhere".into(),
        currency: "JPY".into(),
        cycle: Cycle::Weekly,
        cycle_day: 8,
        days_ahead: -1,
        safety_factor: f64::NAN,
        reminder_days: vec![366],
        overdue_days: vec![0],
        heuristic: Heuristic::External,
        heuristic_url: None,
        reports_url: Some("https://example.com/{id}/{id}".into()),
        reports_max_age: -1,
        claims: ClaimSettings { rules: vec!["none".into()], ..ClaimSettings::default() },
        issuer: json!([]),
        ..Settings::default()
    };
    let fields: Vec<&str> = bad.faults().iter().map(|fault| fault.field).collect();
    let expected = [
        "language",
        "time_zone",
        "currency",
        "cycle_day",
        "days_ahead",
        "safety_factor",
        "reminder_days",
        "overdue_days",
        "heuristic_url",
        "reports_url",
        "reports_max_age",
        "claims.rules",
        "issuer",
    ];
    assert_eq!(fields, expected);
    assert_eq!(all_set().faults(), []);
}
