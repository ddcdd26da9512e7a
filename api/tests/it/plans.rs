//! A client whose rows came in bulk, behind a far larger one's, and of whom the planner's statistics know nothing yet: no
//! statement of its routes may go through the other one's rows, or through its own more than once.
//!
//! What counts is how many rows each statement looks at, as Postgres tells it (`auto_explain`), not how long that takes.

mod explained;
mod filled;

use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use self::{
    explained::Explained,
    filled::{Filled, LARGE, SMALL},
};
use crate::support::{Api, api_on, json as body};

/// Each row of the small client once, by each node of a plan with a few lookups; far less than the square of it, and than the
/// other client's rows.
const ONCE: f64 = 9.0 * SMALL as f64;
/// One row by its key, with what hangs on it.
const ONE: f64 = 200.0;

#[tokio::test]
async fn no_statement_goes_through_more_than_is_asked_for() {
    let stack = gristmill_platform::testing::stack().await;
    let mut explained = Explained::of(&stack).await;
    let api = api_on(stack, |_| {}).await;
    let filled = filled::fill(&api).await;
    for knowledge in [Knowledge::OfTheLargeOne, Knowledge::None] {
        knowledge.set(&api).await;
        explained.forget();
        for path in lists(&filled) {
            ask(&api, &mut explained, &path, ONCE, knowledge).await;
        }
        // What a plan has paid is added up, of its own account.
        ask(&api, &mut explained, "/v1/plan-accounts", SMALL as f64, knowledge).await;
        // The key of debts begins with the debt: a page of all of them looks at the others' too, but once.
        ask(&api, &mut explained, "/v1/debts?limit=200", 2.0 * LARGE as f64, knowledge).await;
        for path in single(&filled) {
            ask(&api, &mut explained, &path, ONE, knowledge).await;
        }
        write(&api, &filled, &mut explained, knowledge).await;
    }
    const { assert!(ONCE < LARGE as f64 / 5.0, "the other client's rows would show") };
}

/// What the planner has been told.
#[derive(Debug, Clone, Copy)]
enum Knowledge {
    /// The tables were analyzed while the large client was alone in them: of the small one it expects a row.
    OfTheLargeOne,
    /// The tables were never analyzed.
    None,
}

impl Knowledge {
    async fn set(self, api: &Api) {
        if let Self::None = self {
            let sql = "delete from pg_statistic where starelid = any($1::text[]::regclass[]::oid[])";
            sqlx::query(sql).bind(filled::TABLES).execute(&api.stack.pool).await.unwrap();
            let sql = "update pg_class set reltuples = -1, relpages = 0 where oid = any($1::text[]::regclass[]::oid[])";
            sqlx::query(sql).bind(filled::TABLES).execute(&api.stack.pool).await.unwrap();
        }
    }
}

/// A prepared statement gets a plan for whatever it is asked after five times.
const OFTEN: usize = 7;

async fn ask(api: &Api, explained: &mut Explained, path: &str, most: f64, knowledge: Knowledge) {
    for _ in 0..OFTEN {
        let response = api.get(path).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
    }
    explained.at_most(most, &format!("GET {path}, {knowledge:?}"));
}

fn lists(filled: &Filled) -> Vec<String> {
    let Filled { run, debts, webhook, .. } = filled;
    [
        "/v1/bills",
        "/v1/bills?status=open&limit=200",
        "/v1/bills?status=paid",
        "/v1/bills?status=overdue",
        &format!("/v1/bills?run_id={run}"),
        &format!("/v1/bills?upload_id={debts}"),
        "/v1/bills?due_from=2030-01-05&due_to=2030-01-06",
        "/v1/billing-runs",
        "/v1/claims",
        "/v1/claims?state=pending",
        "/v1/claims?provider=1000000001",
        "/v1/claims?subscriber=77",
        "/v1/claims?from=2024-03-01&to=2024-03-02",
        "/v1/usage",
        "/v1/usage?from=2024-05-01&to=2024-05-01",
        "/v1/usage/daily?from=2024-04-01&to=2024-06-01",
        "/v1/mail",
        "/v1/mail?state=failed",
        "/v1/mail?recipient=payer7@example.com",
        "/v1/mail?kind=bill_overdue",
        &format!("/v1/webhooks/{webhook}/deliveries"),
        &format!("/v1/webhooks/{webhook}/deliveries?state=failed"),
        "/v1/uploads",
        "/v1/normalizations",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn single(filled: &Filled) -> Vec<String> {
    let Filled { bill, debt, claim, mail, run, .. } = filled;
    [
        format!("/v1/bills/{bill}"),
        "/v1/bills?number=9&limit=1".to_owned(),
        format!("/v1/bills?debt_id={debt}"),
        format!("/v1/bills/{bill}/pdf"),
        format!("/v1/billing-runs/{run}"),
        format!("/v1/debts?debt_id={debt}"),
        format!("/v1/claims/{claim}"),
        format!("/v1/mail/{mail}"),
        "/v1/settings".to_owned(),
    ]
    .to_vec()
}

async fn write(api: &Api, filled: &Filled, explained: &mut Explained, knowledge: Knowledge) {
    let Filled { claim, webhook, delivery, mail_address, .. } = filled;
    let base = if let Knowledge::None = knowledge { 500 } else { 100 };
    for n in 0..OFTEN {
        // Every ninth is paid.
        let n = (base + n) * 9 + 1;
        let debt = filled.debt_at(n);
        let notice = |amount: &str| json!({ "debtId": debt, "paidAt": "2026-01-09T10:00:00Z", "paidAmount": amount, "paidBy": "Ana" });
        let paid = api.post("/v1/payments").json(&notice("0.50")).send().await.unwrap();
        assert_eq!(body(paid, StatusCode::CREATED).await["balance"], "underpaid");
        let paid = api.post("/v1/payments").json(&notice("9.50")).send().await.unwrap();
        let settled = body(paid, StatusCode::CREATED).await;
        assert_eq!((settled["balance"].as_str(), settled["settled_bill_id"].is_string()), (Some("settled"), true));
        explained.at_most(ONE, &format!("POST /v1/payments, {knowledge:?}"));
        let bill = filled.bill_at(n + 1);
        let cancelled = api.post(&format!("/v1/bills/{bill}/cancel")).send().await.unwrap();
        assert_eq!(body(cancelled, StatusCode::OK).await["status"], "cancelled");
        explained.at_most(ONE, &format!("POST /v1/bills/…/cancel, {knowledge:?}"));
        let bounce = json!({ "recipient": mail_address, "message_id": "<none@example.com>", "kind": "soft" });
        let bounced = api.post("/v1/mail/bounces").json(&bounce).send().await.unwrap();
        assert!(bounced.status().is_success(), "{}", bounced.text().await.unwrap());
        explained.at_most(ONE, &format!("POST /v1/mail/bounces, {knowledge:?}"));
        let replay = format!("/v1/webhooks/{webhook}/deliveries/{delivery}/replay");
        let replayed = api.post(&replay).send().await.unwrap().status();
        assert!(replayed.is_success() || replayed == StatusCode::CONFLICT, "{replayed}");
        explained.at_most(ONE, &format!("POST {replay}, {knowledge:?}"));
    }
    let void = api.post(&format!("/v1/claims/{claim}/void")).send().await.unwrap();
    assert!(void.status().is_success(), "{}", void.text().await.unwrap());
    explained.at_most(ONE, &format!("POST /v1/claims/…/void, {knowledge:?}"));
}

/// The id of a bill, as `gristmill_billing::BillId` writes it.
fn bill_id(client_id: i32, number: usize) -> Uuid {
    let text = gristmill_billing::BillId { client_id, number: number as i64 }.to_string();
    text.parse().unwrap()
}
