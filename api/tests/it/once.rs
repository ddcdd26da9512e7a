//! A POST whose process dies between its effect and its answer, sent again with its key.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    bills::{DEBT, billed},
    claims::visit,
    support::{Api, api},
};

/// Those that can be repeated: they set a state, or are done in more than one transaction.
const REPEATED: [&str; 12] = [
    "/v1/groups/{id}/cancel",
    "/v1/groups/{id}/retry",
    "/v1/jobs/actions",
    "/v1/jobs/{id}/cancel",
    "/v1/jobs/{id}/discard",
    "/v1/jobs/{id}/redrive",
    "/v1/queues/{name}/drain",
    "/v1/queues/{name}/pause",
    "/v1/queues/{name}/resume",
    "/v1/schedules/{name}/pause",
    "/v1/schedules/{name}/resume",
    "/v1/workers/{id}/drain",
];

/// Those that keep their answer in the transaction of their effect, as the tests below send them.
const KEPT: [&str; 21] = [
    "/create_webhook",
    "/normalize_merchant",
    "/v1/billing-runs",
    "/v1/billing-runs/{id}/approve",
    "/v1/bills/{id}/cancel",
    "/v1/claims",
    "/v1/claims/{id}/void",
    "/v1/mail/bounces",
    "/v1/normalization-rules",
    "/v1/normalizations",
    "/v1/normalizations/batch",
    "/v1/payments",
    "/v1/reports/batch",
    "/v1/schedules/{name}/run",
    "/v1/webhooks",
    "/v1/webhooks/{id}/deliveries/{delivery_id}/replay",
    "/v1/webhooks/{id}/disable",
    "/v1/webhooks/{id}/enable",
    "/v1/webhooks/{id}/replay",
    "/v1/webhooks/{id}/rotate",
    "/v1/webhooks/{id}/test",
];

/// What is written beside the transaction of an effect does not arrive, as if the process were dead by then: such a
/// statement is a transaction of its own, which begins with it.
const LOSE: &str = "
    create or replace function lose() returns trigger language plpgsql as $$ begin raise 'lost'; end $$;
    create trigger lose before update on idempotent_requests for each row
    when (statement_timestamp() = transaction_timestamp()) execute function lose()";

impl Api {
    /// Everything in a table.
    async fn rows(&self, table: &str) -> String {
        let all = format!("select coalesce(string_agg(t::text, '|' order by t::text), '') from {table} t");
        sqlx::query_scalar(&all).fetch_one(&self.stack.pool).await.unwrap()
    }

    /// Sends a request whose answer is lost, and then again: it has the same answer, and nothing more happens in `table`.
    async fn once(&self, key: &str, table: &str, path: &str, body: Value) -> Value {
        let before = self.rows(table).await;
        let send = async || {
            let request = self.bare("POST", path).bearer_auth(key).header("idempotency-key", path);
            let named = request.header("client-id", self.client_id.to_string());
            named.json(&body).send().await.unwrap()
        };
        sqlx::raw_sql(LOSE).execute(&self.stack.pool).await.unwrap();
        let first = send().await;
        let (status, place) = (first.status(), first.headers().get("location").cloned());
        let text = first.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        sqlx::raw_sql("drop trigger lose on idempotent_requests").execute(&self.stack.pool).await.unwrap();
        let after = self.rows(table).await;
        assert_ne!(before, after, "{path} had no effect");
        // Whoever worked on it seems gone.
        let age = "update idempotent_requests set created_at = now() - interval '2 minutes'";
        sqlx::query(age).execute(&self.stack.pool).await.unwrap();
        let again = send().await;
        assert_eq!(again.headers()["idempotency-replayed"], "true", "{path}");
        assert_eq!((again.status(), again.headers().get("location").cloned()), (status, place), "{path}");
        let again: Value = again.json().await.unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(&text).unwrap(), "{path}");
        assert_eq!(self.rows(table).await, after, "{path} was done twice");
        again
    }
}

fn id(made: &Value, field: &str) -> String {
    made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned()
}

#[tokio::test]
async fn every_post_is_one_of_both_kinds() {
    let api = api().await;
    let document = api.json("/openapi.json").await;
    let posts = document["paths"].as_object().unwrap().iter().filter(|(_, path)| path.get("post").is_some());
    let posts: BTreeSet<&str> = posts.map(|(path, _)| path.as_str()).collect();
    let known = KEPT.into_iter().chain(REPEATED).chain(["/v1/uploads"]).collect();
    assert_eq!(posts, known);
}

#[tokio::test]
async fn claims_and_merchants_are_entered_once() {
    let api = api().await;
    let key = &api.key;
    let claim = api.once(key, "claims", "/v1/claims", visit()).await;
    api.once(key, "claims", &format!("/v1/claims/{}/void", id(&claim, "id")), json!({})).await;
    let one = json!({ "date": "2021-04-01", "description": "Netflix APRIL", "amount": 12.99 });
    api.once(key, "normalizations", "/v1/normalizations", one.clone()).await;
    api.once(key, "normalizations", "/normalize_merchant", one.clone()).await;
    api.once(key, "normalizations", "/v1/normalizations/batch", json!({ "items": [one, one] })).await;
    let rule = json!({ "test": "contains", "pattern": "acme widgets", "name": "Acme" });
    api.once(key, "normalization_rules", "/v1/normalization-rules", rule).await;
    let report = json!({ "items": [{ "id": "r1", "name": "A", "credit_cost": 2 }] });
    api.once(key, "reports", "/v1/reports/batch", report).await;
    let bounce = json!({ "recipient": "ana@example.com", "kind": "hard" });
    api.once(key, "mail_suppressions", "/v1/mail/bounces", bounce).await;
}

#[tokio::test]
async fn runs_and_bills_are_made_and_paid_once() {
    let api = api().await;
    let key = &api.key;
    billed(&api).await;
    let run = api.once(key, "billing_runs", "/v1/billing-runs", json!({})).await;
    sqlx::query("update billing_runs set state = 'held' where state = 'queued'")
        .execute(&api.stack.pool)
        .await
        .unwrap();
    api.once(key, "jobs", &format!("/v1/billing-runs/{}/approve", id(&run, "id")), json!({})).await;
    let payment = json!({ "debtId": DEBT, "paidAt": "2026-06-09 10:00:00", "paidAmount": 1240.20, "paidBy": "Ana" });
    api.once(key, "jobs", "/v1/payments", payment).await;
    let other = self::api().await;
    billed(&other).await;
    let bill = other.json("/v1/bills").await["items"][0].clone();
    other.once(&other.key, "bills", &format!("/v1/bills/{}/cancel", id(&bill, "id")), json!({})).await;
}

#[tokio::test]
async fn webhooks_are_made_changed_and_called_once() {
    let api = api().await;
    let key = &api.key;
    let url = "https://example.com/hooks";
    api.once(key, "webhook_endpoints", "/create_webhook", json!({ "url": url, "client_id": api.client_id })).await;
    let new = json!({ "url": url, "events": ["bill.paid"] });
    let webhook = id(&api.once(key, "webhook_endpoints", "/v1/webhooks", new).await, "id");
    let place = |verb: &str| format!("/v1/webhooks/{webhook}/{verb}");
    for verb in ["rotate", "disable", "enable"] {
        api.once(key, "webhook_endpoints", &place(verb), json!({})).await;
    }
    let begun = api.once(key, "webhook_deliveries", &place("test"), json!({})).await;
    api.once(key, "jobs", &place("replay"), json!({})).await;
    sqlx::query("update webhook_deliveries set state = 'failed'").execute(&api.stack.pool).await.unwrap();
    let replay = place(&format!("deliveries/{}/replay", id(&begun, "delivery_id")));
    api.once(key, "jobs", &replay, json!({})).await;
}

#[tokio::test]
async fn a_schedule_is_run_once() {
    let api = api().await;
    let operator = api.operator_key().await;
    let body = json!({ "cron": "@yearly", "job": { "name": "any", "payload": {} } });
    assert_eq!(api.send(&operator, "PUT", "/v1/schedules/any", body).await.status(), StatusCode::OK);
    api.once(&operator, "jobs", "/v1/schedules/any/run", json!({})).await;
}
