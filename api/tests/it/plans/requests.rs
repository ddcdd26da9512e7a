//! A request to each route, of the client with few rows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::filled::{AGAIN, Filled, Kind, LARGE, SMALL};
use crate::support::{Api, HEADER};

/// Each row of the small client once, by each node of a plan with a few look-ups; far less than the square of it, and than the
/// other client's rows.
pub(super) const ONCE: f64 = 9.5 * SMALL as f64;
/// The same of bills, whose debts and runs are looked up by a node or two more each, and debts through the one of their partition.
pub(super) const BILLS: f64 = 19.0 * SMALL as f64;
/// One row by its key, with what hangs on it.
pub(super) const ONE: f64 = 200.0;

/// The two thousand files of the small client, some times.
const FILES: f64 = 20_000.0;

/// A request.
pub(super) struct RouteRequest {
    /// As the document has it, method before the path.
    pub(super) operation: &'static str,
    pub(super) path: String,
    body: Body,
    /// The statuses that it may be answered by.
    answers: &'static [u16],
    /// Rows that each of its statements may look at.
    pub(super) rows: f64,
}

enum Body {
    None,
    Json(Value),
    File(String),
}

impl RouteRequest {
    fn method(&self) -> &str {
        self.operation.split_once(' ').expect("a method and a path").0
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    /// What was answered, when it is another status than it should be.
    pub(super) async fn send(&self, api: &Api) -> Result<(), String> {
        let request = api.bare(&self.method().to_uppercase(), &self.path).bearer_auth(&api.key);
        // Of resumable uploads; no other route looks at it.
        let request = request.header("tus-resumable", "1.0.0").header("upload-defer-length", "1");
        let request = match &self.body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::File(file) => request.body(file.clone()),
        };
        let response = request.send().await.expect("the API answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("the answer is whole");
        if self.answers.contains(&status) {
            return Ok(());
        }
        Err(format!("{} {}: {status} {text}", self.operation, self.path))
    }
}

/// One answer of a list of this client's, of which nothing is known by its key.
fn list(operation: &'static str, query: &str) -> RouteRequest {
    let path = operation.trim_start_matches("get ");
    RouteRequest { operation, path: format!("{path}{query}"), body: Body::None, answers: &[200], rows: ONCE }
}

fn of_bills(query: &str) -> RouteRequest {
    RouteRequest { rows: BILLS, ..list("get /v1/bills", query) }
}

fn one(operation: &'static str, path: String) -> RouteRequest {
    RouteRequest { operation, path, body: Body::None, answers: &[200], rows: ONE }
}

fn act(operation: &'static str, path: String, answers: &'static [u16]) -> RouteRequest {
    RouteRequest { operation, path, body: Body::None, answers, rows: ONE }
}

fn send(operation: &'static str, path: String, body: Value, answers: &'static [u16]) -> RouteRequest {
    RouteRequest { operation, path, body: Body::Json(body), answers, rows: ONE }
}

/// The routes that the document has, as [`RouteRequest::operation`] names them.
pub(super) fn there(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("the document has paths");
    let methods = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("a path has methods");
        methods.keys().map(|method| format!("{method} {path}")).collect::<Vec<_>>()
    };
    paths.into_iter().flat_map(methods).collect()
}

/// Panics unless a round asks each route, those that were added later too.
pub(super) fn check_all(there: &BTreeSet<String>, round: &[RouteRequest]) {
    let asked: BTreeSet<String> = round.iter().map(|asked| asked.operation.to_owned()).collect();
    assert_eq!(&asked, there, "each route is asked");
}

/// Every route once, those that only operators may ask too; of lists each filter. `n` tells rounds apart: what one round
/// ends is not there for the next one.
pub(super) fn round(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    let mut asked = lists(filled);
    asked.extend(single(filled));
    asked.extend(bills(filled, n));
    asked.extend(claims(filled, n));
    asked.extend(mail_and_hooks(filled, n));
    asked.extend(merchants(filled, n));
    asked.extend(files(filled, n));
    asked.extend(jobs(filled, n));
    asked.extend(operators());
    asked
}

fn lists(filled: &Filled) -> Vec<RouteRequest> {
    let Filled { upload, .. } = filled;
    let (run, webhook) = (filled.id(Kind::Run, 1), filled.id(Kind::Webhook, 1));
    let deliveries = "get /v1/webhooks/{id}/deliveries";
    let of_hook = |query: &str| RouteRequest {
        path: format!("/v1/webhooks/{webhook}/deliveries{query}"),
        ..list(deliveries, "")
    };
    vec![
        of_bills(""),
        of_bills("?status=open&limit=200"),
        of_bills("?status=paid"),
        of_bills("?status=overdue"),
        of_bills(&format!("?run_id={run}")),
        of_bills(&format!("?upload_id={upload}")),
        of_bills("?due_from=2030-01-05&due_to=2030-01-06"),
        list("get /v1/billing-runs", ""),
        list("get /v1/claims", ""),
        list("get /v1/claims", "?state=pending"),
        list("get /v1/claims", "?provider=1000000001"),
        list("get /v1/claims", "?subscriber=77"),
        list("get /v1/claims", "?from=2024-03-01&to=2024-03-02"),
        RouteRequest { rows: SMALL as f64, ..list("get /v1/plan-accounts", "") },
        list("get /v1/usage", ""),
        list("get /v1/usage", "?from=2024-05-01&to=2024-05-01"),
        list("get /v1/usage/daily", "?from=2024-04-01&to=2024-06-01"),
        list("get /v1/mail", ""),
        list("get /v1/mail", "?state=failed"),
        list("get /v1/mail", "?recipient=payer7@example.com"),
        list("get /v1/mail", "?kind=bill_overdue"),
        list("get /v1/mail/suppressions", ""),
        of_hook(""),
        of_hook("?state=failed"),
        list("get /v1/webhooks", ""),
        list("get /v1/uploads", ""),
        list("get /v1/uploads", "?state=failed"),
        list("get /v1/transactions", &format!("?upload_id={}", filled.id(Kind::Statement, 1))),
        list("get /v1/normalizations", ""),
        list("get /v1/normalization-rules", ""),
        list("get /v1/reports", ""),
        list("get /v1/profiles", ""),
        // Jobs are not found by their client: a page of them is looked for among the newest of all, in slices.
        RouteRequest { rows: 3.0 * LARGE as f64 / 5.0, ..list("get /v1/jobs", "?limit=200") },
        list("get /v1/jobs", "?state=dead"),
        list("get /v1/jobs", "?tag=signup"),
        list("get /v1/groups", ""),
        list("get /v1/debts", "?limit=200"),
        list("get /v1/debts", &format!("?upload_id={upload}")),
    ]
}

fn single(filled: &Filled) -> Vec<RouteRequest> {
    let Filled { upload, .. } = filled;
    let debt = filled.id(Kind::Debt, 77);
    let bill = filled.bill(77);
    vec![
        one("get /v1/bills", "/v1/bills?number=9&limit=1".into()),
        one("get /v1/bills", format!("/v1/bills?debt_id={debt}")),
        one("get /v1/bills/{id}", format!("/v1/bills/{bill}")),
        one("get /v1/bills/{id}/pdf", format!("/v1/bills/{bill}/pdf")),
        one("get /v1/billing-runs/{id}", format!("/v1/billing-runs/{}", filled.id(Kind::Run, 1))),
        one("get /v1/debts", format!("/v1/debts?debt_id={debt}")),
        one("get /v1/claims/{id}", format!("/v1/claims/{}", filled.id(Kind::Claim, 77))),
        one("get /v1/mail/{id}", format!("/v1/mail/{}", filled.id(Kind::Mail, 77))),
        act("get /v1/mail/{id}/eml", format!("/v1/mail/{}/eml", filled.id(Kind::Mail, 77)), &[404]),
        one("get /v1/settings", "/v1/settings".into()),
        one("get /v1/uploads/{id}", format!("/v1/uploads/{upload}")),
        one("get /v1/uploads/{id}/receipt", format!("/v1/uploads/{upload}/receipt")),
        act("get /v1/uploads/{id}/delta", format!("/v1/uploads/{upload}/delta"), &[409]),
        act("get /v1/profiles/{name}", "/v1/profiles/none-such".into(), &[404]),
        one("get /v1/uploads/{id}/rejects", format!("/v1/uploads/{upload}/rejects")),
        one("get /v1/uploads/{id}/events", format!("/v1/uploads/{upload}/events")),
        one("get /v1/normalizations/{id}", format!("/v1/normalizations/{}", filled.id(Kind::Normalization, 77))),
        one("get /v1/normalization-rules/{id}", format!("/v1/normalization-rules/{}", filled.id(Kind::Rule, 40))),
        one("get /v1/reports/{id}", "/v1/reports/77".into()),
        one("get /v1/webhooks/{id}", format!("/v1/webhooks/{}", filled.id(Kind::Webhook, 1))),
        one("get /v1/jobs/{id}", format!("/v1/jobs/{}", filled.id(Kind::Job, 19_999))),
        one("get /v1/jobs/{id}/logs", format!("/v1/jobs/{}/logs", filled.id(Kind::Job, 19_999))),
        act("get /v1/groups/{id}", format!("/v1/groups/{upload}"), &[404]),
    ]
}

fn bills(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    // Every ninth is paid.
    let k = n * 9 + 1;
    let (debt, bill, run) = (filled.id(Kind::Debt, k), filled.bill(k + 1), filled.id(Kind::Run, 1));
    let notice = |amount: &str| json!({ "debtId": debt, "paidAt": "2026-01-09T10:00:00Z", "paidAmount": amount, "paidBy": "Ana" });
    // The files that its debts may have come with are looked at, when nothing is known of them.
    let pay = |amount| RouteRequest {
        rows: FILES,
        ..send("post /v1/payments", "/v1/payments".into(), notice(amount), &[201])
    };
    vec![
        pay("0.50"),
        pay("9.50"),
        act("post /v1/bills/{id}/cancel", format!("/v1/bills/{bill}/cancel"), &[200]),
        act("post /v1/billing-runs/{id}/approve", format!("/v1/billing-runs/{run}/approve"), &[409]),
        act("delete /v1/billing-runs/{id}", format!("/v1/billing-runs/{run}"), &[409]),
        // One is under way from the first round on.
        send("post /v1/billing-runs", "/v1/billing-runs".into(), json!({}), &[202, 409, 422]),
        send("put /v1/settings", "/v1/settings".into(), json!({ "currency": "BRL" }), &[200]),
    ]
}

fn claims(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    let claim = filled.id(Kind::Claim, 7 * n + 1);
    let frozen = json!({ "frozen": n.is_multiple_of(2) });
    let line = json!({ "procedure": "D4346", "provider_fees": 130, "allowed_fees": 65, "member_coinsurance": 16.25, "member_copay": 0 });
    let new = json!({ "lines": [line], "plan_group": "GRP-1", "provider_npi": "1497775530", "service_date": "2018-03-28",
        "subscriber": format!("many {n}") });
    vec![
        send("post /v1/claims", "/v1/claims".into(), new, &[201, 422]),
        act("post /v1/claims/{id}/void", format!("/v1/claims/{claim}/void"), &[200]),
        // Ten a minute are answered.
        RouteRequest { answers: &[200, 429], ..list("get /v1/claims/top-providers", "") },
        // What it has paid is added up.
        RouteRequest {
            rows: SMALL as f64,
            ..send("put /v1/plan-accounts/{name}", "/v1/plan-accounts/GRP-1".into(), frozen, &[200])
        },
    ]
}

fn mail_and_hooks(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    let bounce = json!({ "recipient": format!("payer{}@example.com", 100 + n), "message_id": "<none@example.com>", "kind": "soft" });
    let lifted = format!("/v1/mail/suppressions?address=payer{}@example.com", 10_000 + n);
    let failed = filled.id(Kind::Mail, 50 * (n + 1));
    let (hook, delivery) = (filled.id(Kind::Webhook, 1), filled.id(Kind::Delivery, 50 * (n + 1)));
    let at = |rest: &str| format!("/v1/webhooks/{hook}{rest}");
    let new = json!({ "url": "https://example.com/hooks", "events": ["bill.paid"] });
    let old = json!({ "url": "https://example.com/hooks", "client_id": filled.client().to_string() });
    let since = "/replay?status=failed&since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z";
    vec![
        send("post /v1/mail/bounces", "/v1/mail/bounces".into(), bounce, &[200]),
        act("delete /v1/mail/suppressions", lifted, &[204]),
        act("post /v1/mail/{id}/resend", format!("/v1/mail/{failed}/resend"), &[202, 409]),
        send("post /v1/webhooks", "/v1/webhooks".into(), new, &[201, 409, 422]),
        send("post /create_webhook", "/create_webhook".into(), old, &[201, 409, 422]),
        send("put /v1/webhooks/{id}", at(""), json!({ "description": "the first" }), &[200]),
        act("post /v1/webhooks/{id}/disable", at("/disable"), &[200]),
        act("post /v1/webhooks/{id}/enable", at("/enable"), &[200]),
        act("post /v1/webhooks/{id}/rotate", at("/rotate"), &[200, 409]),
        act("post /v1/webhooks/{id}/test", at("/test"), &[202, 409]),
        act(
            "post /v1/webhooks/{id}/deliveries/{delivery_id}/replay",
            at(&format!("/deliveries/{delivery}/replay")),
            &[202, 409],
        ),
        RouteRequest { rows: ONCE, ..act("post /v1/webhooks/{id}/replay", at(since), &[202]) },
        // There are eight more.
        act("delete /v1/webhooks/{id}", format!("/v1/webhooks/{}", filled.id(Kind::Webhook, 2 + n)), &[204, 404]),
    ]
}

fn merchants(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    let new = || json!({ "date": "2021-04-01", "description": "Payment Netflix APRIL***", "amount": 12.99, "currency": "USD" });
    let rule = json!({ "test": "contains", "pattern": format!("acme widgets {n}"), "name": "Acme" });
    let ruled = format!("/v1/normalization-rules/{}", filled.id(Kind::Rule, 40));
    let ended = format!("/v1/normalization-rules/{}", filled.id(Kind::Rule, 1 + n));
    let report = |cost: f64| json!({ "name": "Tenant Obligations Report", "credit_cost": cost });
    let listed = json!({ "items": [{ "id": "5392", "name": "Tenant Obligations Report", "credit_cost": 79.5 }] });
    vec![
        send("post /v1/normalizations", "/v1/normalizations".into(), new(), &[202]),
        send("post /v1/normalizations/batch", "/v1/normalizations/batch".into(), json!({ "items": [new()] }), &[202]),
        send("post /normalize_merchant", "/normalize_merchant".into(), new(), &[202, 400, 403]),
        send("post /v1/normalization-rules", "/v1/normalization-rules".into(), rule.clone(), &[201, 409, 422]),
        send("put /v1/normalization-rules/{id}", ruled, rule, &[200]),
        // There are forty, one of which stays.
        act("delete /v1/normalization-rules/{id}", ended, &[204, 404]),
        send("put /v1/reports/{id}", "/v1/reports/5392".into(), report(79.5), &[200]),
        send("post /v1/reports/batch", "/v1/reports/batch".into(), listed, &[200]),
        send(
            "put /v1/profiles/{name}",
            "/v1/profiles/bank".into(),
            json!({ "kind": "debts", "says": { "dates": "dmy" }, "header": ["Contrato", "Valor"] }),
            &[200],
        ),
        act("delete /v1/profiles/{name}", "/v1/profiles/bank".into(), &[204, 404]),
        act("delete /v1/reports/{id}", format!("/v1/reports/{}", 10_000 + n), &[204]),
    ]
}

fn files(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    let absent = "/v1/tus/00000000-0000-7000-8000-000000000000".to_owned();
    let create = |record: &str, answers| {
        let body = Body::File(format!("{HEADER}{record}"));
        RouteRequest { body, rows: FILES, ..act("post /v1/uploads", "/v1/uploads?kind=debts".into(), answers) }
    };
    vec![
        create(&AGAIN.replace("ecc0b8", &format!("{n:06}")), &[202]),
        create(AGAIN, &[200]),
        act("delete /v1/uploads/{id}", format!("/v1/uploads/{}", filled.id(Kind::Upload, 1 + n)), &[202]),
        // No file is there that could be fetched.
        send(
            "post /v1/uploads/fetch",
            "/v1/uploads/fetch?kind=debts".into(),
            json!({ "url": "https://10.0.0.1/a.csv" }),
            &[400],
        ),
        RouteRequest { rows: FILES, ..act("post /v1/tus", "/v1/tus?kind=debts".into(), &[201]) },
        act("get /v1/tus/{id}", absent.clone(), &[404]),
        act("patch /v1/tus/{id}", absent.clone(), &[400]),
        act("post /v1/tus/{id}", absent.clone(), &[400]),
        act("delete /v1/tus/{id}", absent, &[404]),
    ]
}

fn jobs(filled: &Filled, n: usize) -> Vec<RouteRequest> {
    let job = |n: usize, action: &str| format!("/v1/jobs/{}/{action}", filled.id(Kind::Job, n));
    let group = |action: &str| format!("/v1/groups/{}/{action}", filled.upload);
    let dry = json!({ "action": "redrive", "filter": { "name": "bulk.job" }, "dry_run": true });
    vec![
        act("post /v1/jobs/{id}/cancel", job(19_999, "cancel"), &[409]),
        // What waits in its queue by then is looked at too.
        RouteRequest { rows: SMALL as f64, ..act("post /v1/jobs/{id}/redrive", job(1 + n, "redrive"), &[200]) },
        act("post /v1/jobs/{id}/discard", job(10_000 + n, "discard"), &[200]),
        RouteRequest { rows: ONCE, ..send("post /v1/jobs/actions", "/v1/jobs/actions".into(), dry, &[200, 403]) },
        act("post /v1/jobs/{id}/promote", job(19_999, "promote"), &[409]),
        act("post /v1/groups/{id}/cancel", group("cancel"), &[404]),
        act("post /v1/groups/{id}/retry", group("retry"), &[404]),
    ]
}

/// What a client's key may not ask, and what needs none.
fn operators() -> Vec<RouteRequest> {
    let refused = |operation: &'static str| {
        let path = operation.split_once(' ').expect("a method and a path").1;
        let path = path.replace("{name}", "chunks").replace("{id}", "00000000-0000-7000-8000-000000000000");
        act(operation, path, &[403])
    };
    let open = |operation: &'static str, path: &str| act(operation, path.to_owned(), &[200]);
    let mut asked: Vec<RouteRequest> = [
        "get /metrics",
        "get /v1/limits",
        "delete /v1/limits/pools/{name}",
        "get /v1/queues",
        "get /v1/queues/{name}",
        "post /v1/queues/{name}/drain",
        "post /v1/queues/{name}/pause",
        "post /v1/queues/{name}/resume",
        "get /v1/schedules",
        "get /v1/schedules/{name}",
        "get /v1/schedules/{name}/ticks",
        "delete /v1/schedules/{name}",
        "post /v1/schedules/{name}/pause",
        "post /v1/schedules/{name}/resume",
        "post /v1/schedules/{name}/run",
        "get /v1/workers",
        "post /v1/workers/{id}/drain",
        "post /v1/jobs",
        "post /v1/jobs/batch",
        "get /v1/jobs/{id}/members",
        "post /v1/flows",
        "post /v1/jobs/{id}/signals/{name}",
        "post /v1/groups",
        "post /v1/groups/{id}/seal",
        "post /v1/work/claims",
        "post /v1/work/reports",
    ]
    .into_iter()
    .map(refused)
    .collect();
    let limits = json!({ "concurrency": 3 });
    let schedule =
        json!({ "cron": "* * * * *", "job": { "name": "gristmill.redrive", "payload": {}, "queue": "gristmill" } });
    let job = "/v1/jobs/00000000-0000-7000-8000-000000000000";
    asked.push(send("patch /v1/jobs/{id}", job.into(), json!({ "priority": 1 }), &[403]));
    asked.push(send("put /v1/queues/{name}/limits", "/v1/queues/chunks/limits".into(), limits, &[403]));
    asked.push(send("put /v1/limits/jobs/{name}", "/v1/limits/jobs/thumb".into(), json!({ "concurrency": 3 }), &[403]));
    asked.push(send("put /v1/limits/pools/{name}", "/v1/limits/pools/gpu".into(), json!({ "slots": 4 }), &[403]));
    asked.push(send("put /v1/schedules/{name}", "/v1/schedules/nightly".into(), schedule, &[403]));
    asked.push(open("get /healthz", "/healthz"));
    asked.push(open("get /readyz", "/readyz"));
    asked.push(open("get /openapi.json", "/openapi.json"));
    asked.push(open("get /docs", "/docs"));
    asked.push(act("get /docs/{file}", "/docs/none.js".into(), &[404]));
    asked.push(open("get /problems/{code}", "/problems/not-found"));
    asked
}
