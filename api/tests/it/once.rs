//! A POST whose process dies between its effect and its answer, sent again with its key.

use std::collections::BTreeSet;

use gristmill_queue::{GroupId, GroupPolicy, Job, JobId, NewGroup, Options, Queue, QueueConfig, Worker};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bills::{DEBT, billed},
    claims::visit,
    support::{Api, api, eventually},
};

/// Those that keep their answer in the transaction of their effect, as the tests below send them.
const KEPT: [&str; 41] = [
    "/create_webhook",
    "/normalize_merchant",
    "/v1/billing-runs",
    "/v1/billing-runs/{id}/approve",
    "/v1/bills/{id}/cancel",
    "/v1/claims",
    "/v1/claims/{id}/void",
    "/v1/flows",
    "/v1/groups",
    "/v1/groups/{id}/cancel",
    "/v1/groups/{id}/retry",
    "/v1/groups/{id}/seal",
    "/v1/jobs",
    "/v1/jobs/actions",
    "/v1/jobs/batch",
    "/v1/jobs/{id}/cancel",
    "/v1/jobs/{id}/discard",
    "/v1/jobs/{id}/promote",
    "/v1/jobs/{id}/redrive",
    "/v1/jobs/{id}/signals/{name}",
    "/v1/mail/bounces",
    "/v1/mail/{id}/resend",
    "/v1/normalization-rules",
    "/v1/normalizations",
    "/v1/normalizations/batch",
    "/v1/payments",
    "/v1/queues/{name}/drain",
    "/v1/queues/{name}/pause",
    "/v1/queues/{name}/resume",
    "/v1/reports/batch",
    "/v1/schedules/{name}/pause",
    "/v1/schedules/{name}/resume",
    "/v1/schedules/{name}/run",
    "/v1/webhooks",
    "/v1/webhooks/{id}/deliveries/{delivery_id}/replay",
    "/v1/webhooks/{id}/disable",
    "/v1/webhooks/{id}/enable",
    "/v1/webhooks/{id}/replay",
    "/v1/webhooks/{id}/rotate",
    "/v1/webhooks/{id}/test",
    "/v1/workers/{id}/drain",
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

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Any;

impl Job for Any {
    const NAME: &'static str = "any";
    const QUEUE: &'static str = "any";
}

impl Api {
    async fn queue(&self) -> Queue {
        let config = QueueConfig { namespace: self.stack.namespace.clone(), ..QueueConfig::new(&self.stack.redis_url) };
        Queue::connect(self.stack.pool.clone(), config).await.unwrap()
    }

    /// Jobs of the client that belong to nothing of the product's.
    async fn jobs(&self, group: Option<GroupId>, n: usize) -> Vec<JobId> {
        let mut conn = self.stack.pool.acquire().await.unwrap();
        let options = Options { client_id: Some(self.client_id), group, ..Options::default() };
        let jobs = self.queue().await.enqueue_all(&mut conn, &vec![Any; n], &options).await.unwrap();
        jobs.ids().to_vec()
    }

    /// A whole group of the client's.
    async fn group(&self) -> GroupId {
        let (queue, mut conn) = (self.queue().await, self.stack.pool.acquire().await.unwrap());
        let new = NewGroup { client_id: Some(self.client_id), ..NewGroup::new(GroupPolicy::Continue) };
        let group = queue.create_group(&mut conn, new).await.unwrap();
        self.jobs(Some(group), 2).await;
        assert!(queue.seal_group(&mut conn, group).await.unwrap().is_empty());
        group
    }

    async fn sql(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&self.stack.pool).await.unwrap();
    }
}

fn id(made: &Value, field: &str) -> String {
    made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned()
}

#[tokio::test]
async fn every_post_keeps_its_answer_with_its_effect() {
    let api = api().await;
    let document = api.json("/openapi.json").await;
    let posts = document["paths"].as_object().unwrap().iter().filter(|(_, path)| path.get("post").is_some());
    let posts: BTreeSet<&str> = posts.map(|(path, _)| path.as_str()).collect();
    // A worker sends its requests again without a key: they are safe to repeat as they are.
    // A resumable upload whose beginning was not answered expires.
    // An upload has its key itself.
    let others = ["/v1/tus", "/v1/tus/{id}", "/v1/uploads", "/v1/uploads/fetch", "/v1/work/claims", "/v1/work/reports"];
    let known = KEPT.into_iter().chain(others).collect();
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
    let mail: Uuid = sqlx::query_scalar(
        "insert into mails (id, client_id, kind, ref, recipient, subject, message_id, state)
         values (gen_random_uuid(), $1, 'upload_failed', 'a', 'ana@acme.example', 'A', '<a@acme.example>', 'failed') returning id",
    )
    .bind(api.client_id)
    .fetch_one(&api.stack.pool)
    .await
    .unwrap();
    // The second one would find it on its way.
    api.once(key, "mails", &format!("/v1/mail/{mail}/resend"), json!({})).await;
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
    api.once(key, "gristmill.jobs", &format!("/v1/billing-runs/{}/approve", id(&run, "id")), json!({})).await;
    let payment = json!({ "debtId": DEBT, "paidAt": "2026-06-09 10:00:00", "paidAmount": 1240.20, "paidBy": "Ana" });
    api.once(key, "gristmill.jobs", "/v1/payments", payment).await;
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
    api.once(key, "gristmill.jobs", &place("replay"), json!({})).await;
    sqlx::query("update webhook_deliveries set state = 'failed'").execute(&api.stack.pool).await.unwrap();
    let replay = place(&format!("deliveries/{}/replay", id(&begun, "delivery_id")));
    api.once(key, "gristmill.jobs", &replay, json!({})).await;
}

#[tokio::test]
async fn a_schedule_is_run_once() {
    let api = api().await;
    let operator = api.operator_key().await;
    let body = json!({ "cron": "@yearly", "job": { "name": "any", "payload": {} } });
    assert_eq!(api.send(&operator, "PUT", "/v1/schedules/any", body).await.status(), StatusCode::OK);
    api.once(&operator, "gristmill.jobs", "/v1/schedules/any/run", json!({})).await;
}

#[tokio::test]
async fn jobs_and_groups_come_in_once() {
    let api = api().await;
    let key = &api.operator_key().await;
    let group = api.once(key, "gristmill.groups", "/v1/groups", json!({ "name": "import" })).await;
    let member = json!({ "name": "any", "queue": "any", "group": group["id"] });
    let job = api.once(key, "gristmill.jobs", "/v1/jobs", member.clone()).await;
    let signal = format!("/v1/jobs/{}/signals/approved", id(&job, "id"));
    api.once(key, "gristmill.job_signals", &signal, json!({ "payload": { "by": "ana" } })).await;
    let batch = api.once(key, "gristmill.jobs", "/v1/jobs/batch", member).await;
    assert_eq!(batch["ids"].as_array().unwrap().len(), 1);
    let one = json!({ "name": "any", "queue": "any" });
    let stages = json!([{ "name": "a", "jobs": [one] }, { "name": "b", "after": ["a"], "jobs": [one, one] }]);
    let flow = api.once(key, "gristmill.jobs", "/v1/flows", json!({ "stages": stages })).await;
    assert_eq!(flow["stages"][1]["jobs"].as_array().unwrap().len(), 2);
    let seal = format!("/v1/groups/{}/seal", id(&group, "id"));
    assert_eq!(api.once(key, "gristmill.groups", &seal, json!({})).await["total"], 2);
}

#[tokio::test]
async fn jobs_and_groups_are_acted_on_once() {
    let api = api().await;
    let key = &api.key;
    let ids = api.jobs(None, 6).await;
    let place = |n: usize, verb: &str| format!("/v1/jobs/{}/{verb}", ids[n]);
    let cancelled = api.once(key, "gristmill.jobs", &place(0, "cancel"), json!({})).await;
    assert_eq!(cancelled["state"], "cancelled");
    api.sql(&format!(
        "update gristmill.jobs set state = 'dead', finished_at = now() where id in ('{}', '{}')",
        ids[1], ids[2]
    ))
    .await;
    assert_eq!(api.once(key, "gristmill.jobs", &place(1, "redrive"), json!({})).await["redriven"], 1);
    assert_eq!(api.once(key, "gristmill.jobs", &place(2, "discard"), json!({})).await["state"], "cancelled");
    api.sql(&format!(
        "update gristmill.jobs set state = 'scheduled', run_at = now() + interval '1 day' where id = '{}'",
        ids[5]
    ))
    .await;
    assert_eq!(api.once(key, "gristmill.jobs", &place(5, "promote"), json!({})).await["state"], "scheduled");
    let many = json!({ "action": "cancel", "ids": [ids[3], ids[4]] });
    let acted = api.once(key, "gristmill.jobs", "/v1/jobs/actions", many).await;
    assert_eq!((&acted["changed"], &acted["next_cursor"]), (&json!(2), &Value::Null));

    let (one, other) = (api.group().await, api.group().await);
    let cancelled = api.once(key, "gristmill.groups", &format!("/v1/groups/{one}/cancel"), json!({})).await;
    assert_eq!(cancelled["state"], "cancelled");
    api.sql(&format!(
        "update gristmill.jobs set state = 'dead', finished_at = now() where group_id = '{other}';
         update gristmill.groups set state = 'failed', failed = 2, finished_at = now(), completions = 1 where id = '{other}'"
    ))
    .await;
    let again = api.once(key, "gristmill.jobs", &format!("/v1/groups/{other}/retry"), json!({})).await;
    assert_eq!((&again["state"], &again["failed"]), (&json!("open"), &json!(0)));
}

#[tokio::test]
async fn an_action_that_breaks_off_says_how_far_it_came() {
    let api = api().await;
    let ids = api.jobs(None, 700).await;
    api.sql("update gristmill.jobs set state = 'dead', finished_at = now()").await;
    // The newest come first, and a slice is one transaction: this ends the second one.
    let oldest = ids.iter().min().unwrap();
    api.sql(&format!(
        "create function breaks() returns trigger language plpgsql as $$ begin raise 'the process dies'; end $$;
         create trigger breaks before update on gristmill.jobs for each row when (new.id = '{oldest}') execute function breaks()"
    ))
    .await;
    let redrive = |key: &'static str, cursor: Value| {
        let body = json!({ "action": "redrive", "filter": { "queue": "any" }, "cursor": cursor });
        let request = api.post("/v1/jobs/actions").header("idempotency-key", key).json(&body);
        async move { request.send().await.unwrap() }
    };
    let broken = redrive("one", Value::Null).await;
    assert!(broken.status().is_server_error(), "{}", broken.status());
    assert_eq!(redrive("one", Value::Null).await.status(), StatusCode::CONFLICT, "somebody may be working on it");
    api.sql("drop trigger breaks on gristmill.jobs; update idempotent_requests set created_at = now() - interval '2 minutes'")
        .await;
    let again = redrive("one", Value::Null).await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    let again: Value = again.json().await.unwrap();
    assert_eq!(again["changed"], 500, "{again}");
    let rest: Value = redrive("two", again["next_cursor"].clone()).await.json().await.unwrap();
    assert_eq!((&rest["changed"], &rest["next_cursor"]), (&json!(200), &Value::Null), "{rest}");
    let once: i64 =
        sqlx::query_scalar("select count(*) from gristmill.jobs where redriven = 1 and state = 'available'")
            .fetch_one(&api.stack.pool)
            .await
            .unwrap();
    assert_eq!(once, 700);
}

#[tokio::test]
async fn queues_schedules_and_workers_are_steered_once() {
    let api = api().await;
    let operator = api.operator_key().await;
    for verb in ["pause", "resume", "drain"] {
        api.once(&operator, "gristmill.queues", &format!("/v1/queues/chunks/{verb}"), json!({})).await;
    }
    let body = json!({ "cron": "@yearly", "job": { "name": "any", "payload": {} } });
    assert_eq!(api.send(&operator, "PUT", "/v1/schedules/any", body).await.status(), StatusCode::OK);
    for verb in ["pause", "resume"] {
        api.once(&operator, "gristmill.schedules", &format!("/v1/schedules/any/{verb}"), json!({})).await;
    }

    let (queue, stop) = (api.queue().await, CancellationToken::new());
    let worker = Worker::builder(&queue).queue("any", 1).register::<Any>(async |_, _| Ok(())).build();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let id = eventually("a worker", async || Some(queue.workers().await.unwrap().first()?.id)).await;
    // A wish is in its table until the worker is told of it.
    api.sql(
        "create table wishes (worker_id uuid);
         create function wished() returns trigger language plpgsql as
            $$ begin insert into wishes values (new.worker_id); return new; end $$;
         create trigger wished after insert on gristmill.worker_drains for each row execute function wished()",
    )
    .await;
    api.once(&operator, "wishes", &format!("/v1/workers/{id}/drain"), json!({})).await;
    eventually("it to drain", async || {
        queue.workers().await.unwrap().iter().any(|worker| worker.id == id && worker.draining).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
