//! Jobs and groups, by a client and by an operator.

use gristmill_platform::testing::stack;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    bills::billed,
    support::{Api, api, api_on, file, json, problem},
};

/// Everything in it that differs from run to run.
fn plain(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    let differs =
                        name.ends_with("_at") || name.ends_with("id") || name == "cursor" || name == "fair_key";
                    if name == "trace_parent" || (differs && !value.is_null() && !value.is_object()) {
                        *value = format!("[{name}]").into();
                    } else {
                        walk(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

/// Makes the chunks' jobs of all uploads jobs that belong to none.
async fn set_apart(api: &Api) {
    sqlx::query("update gristmill.jobs set name = 'apart', group_id = null where name = 'uploads.load_chunk'")
        .execute(&api.stack.pool)
        .await
        .unwrap();
}

/// What a worker would do in the end.
async fn dies(api: &Api, upload: &str, error: &str) -> String {
    let id: Uuid = sqlx::query_scalar(
        "update gristmill.jobs set state = 'dead', attempt = 8, last_error = $2, finished_at = now()
         where payload->>'upload_id' = $1 and name in ('uploads.load_chunk', 'apart') returning id",
    )
    .bind(upload)
    .bind(error)
    .fetch_one(&api.stack.pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into gristmill.job_attempts (job_id, attempt, delivery, outcome, error, worker) values ($1, 8, 1, 'retried', $2, 'w')",
    )
    .bind(id)
    .bind(error)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    id.to_string()
}

#[tokio::test]
async fn a_client_sees_its_own_jobs_and_groups() {
    let api = api().await;
    let upload = api.upload(file(3)).await["id"].as_str().unwrap().to_owned();
    let page = api.json("/v1/jobs?total=true").await;
    insta::assert_json_snapshot!(plain(page.clone()));
    let id = page["items"][0]["id"].as_str().unwrap();
    insta::assert_json_snapshot!("one_job", plain(api.json(&format!("/v1/jobs/{id}")).await));
    let groups = api.json("/v1/groups?state=open,failing").await;
    assert_eq!(groups["items"].as_array().unwrap().len(), 1);
    let group = groups["items"][0]["id"].as_str().unwrap();
    insta::assert_json_snapshot!("one_group", plain(api.json(&format!("/v1/groups/{group}")).await));
    assert_eq!(api.json(&format!("/v1/jobs?group={group}&name=uploads.load_chunk")).await["items"][0]["id"], id);

    assert_eq!(api.json(&format!("/v1/jobs/{id}/logs")).await, json!({ "items": [] }));
    let lines = r#"[{"at": "2026-01-31T07:00:00Z", "level": "info", "message": "half of it"}]"#;
    sqlx::query("insert into gristmill.job_logs (job_id, attempt, lines) values ($1, 1, $2::jsonb)")
        .bind(id.parse::<Uuid>().unwrap())
        .bind(lines)
        .execute(&api.stack.pool)
        .await
        .unwrap();
    let said: Value = serde_json::from_str(lines).unwrap();
    let logs = api.json(&format!("/v1/jobs/{id}/logs")).await;
    assert_eq!(logs, json!({ "items": [{ "attempt": 1, "dropped": 0, "lines": said }] }));

    // Another client's are not there; an operator's key shows whose they are.
    let other = api.other_key().await;
    for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/logs"), format!("/v1/groups/{group}")] {
        problem(api.bare("GET", &path).bearer_auth(&other).send().await.unwrap(), StatusCode::NOT_FOUND).await;
    }
    for path in ["/v1/jobs", "/v1/groups"] {
        let page = json(api.bare("GET", path).bearer_auth(&other).send().await.unwrap(), StatusCode::OK).await;
        assert_eq!(page["items"], json!([]));
        let path = format!("{path}?client=client");
        let response = api.bare("GET", &path).bearer_auth(&other).send().await.unwrap();
        problem(response, StatusCode::FORBIDDEN).await;
    }
    let operator = api.operator_key().await;
    let page = api.bare("GET", "/v1/jobs?client=client").bearer_auth(&operator).send().await.unwrap();
    assert_eq!(json(page, StatusCode::OK).await["items"][0]["client"], "client");
    let response = api.bare("GET", "/v1/jobs?client=nobody").bearer_auth(&operator).send().await.unwrap();
    problem(response, StatusCode::BAD_REQUEST).await;

    // An upload is more than its jobs.
    for action in ["cancel", "retry"] {
        let response = api.post(&format!("/v1/groups/{group}/{action}")).send().await.unwrap();
        let problem = problem(response, StatusCode::CONFLICT).await;
        assert!(problem["detail"].as_str().unwrap().contains(&format!("DELETE /v1/uploads/{upload}")), "{problem}");
    }
}

#[tokio::test]
async fn filters_are_taken_together_and_wrong_ones_are_named() {
    let api = api().await;
    let upload = api.upload(file(3)).await["id"].as_str().unwrap().to_owned();
    let id = dies(&api, &upload, "Disk full").await;
    let found = async |query: &str| {
        let page = api.json(&format!("/v1/jobs?{query}")).await;
        page["items"].as_array().unwrap().iter().filter(|item| item["id"] == id.as_str()).count()
    };
    for query in [
        "state=dead,parked&queue=chunks&error=disk%20FULL",
        "created_after=2020-01-01T00:00:00Z&created_before=2100-01-01T00:00:00Z",
        &format!("id={id}"),
        "client=client",
    ] {
        assert_eq!(found(query).await, 1, "{query}");
    }
    for query in ["state=available", "queue=uploads", "error=other", "created_before=2020-01-01T00:00:00Z"] {
        assert_eq!(found(query).await, 0, "{query}");
    }
    for query in ["state=done", "limit=0", "id=x", "group=x", "created_after=yesterday", "cursor=u1", "age=1h"] {
        let response = api.get(&format!("/v1/jobs?{query}")).send().await.unwrap();
        let name = query.split('=').next().unwrap();
        assert_eq!(problem(response, StatusCode::BAD_REQUEST).await["errors"][0]["field"], name);
    }
    let response = api.get("/v1/jobs/x").send().await.unwrap();
    insta::assert_json_snapshot!("no_job_id", problem(response, StatusCode::NOT_FOUND).await);
}

#[tokio::test]
async fn one_job_is_run_again_given_up_cancelled() {
    let api = api().await;
    let upload = api.upload(file(3)).await["id"].as_str().unwrap().to_owned();
    set_apart(&api).await;
    let id = dies(&api, &upload, "Disk full").await;
    let act = async |what: &str, status| {
        let response = api.post(&format!("/v1/jobs/{id}/{what}")).send().await.unwrap();
        if status == StatusCode::OK { json(response, status).await } else { problem(response, status).await }
    };
    let conflict = act("cancel", StatusCode::CONFLICT).await;
    insta::assert_json_snapshot!("a_dead_job_is_not_cancelled", conflict);
    let again = act("redrive", StatusCode::OK).await;
    assert_eq!((&again["state"], &again["redriven"], &again["attempt"]), (&"available".into(), &1.into(), &0.into()));
    assert_eq!(again["attempts"].as_array().unwrap().len(), 1);
    act("discard", StatusCode::CONFLICT).await;
    assert_eq!(act("cancel", StatusCode::OK).await["state"], "cancelled");
    // Named by its id it runs again all the same.
    assert_eq!(act("redrive", StatusCode::OK).await["redriven"], 2);
    dies(&api, &upload, "Disk full").await;
    let gone = act("discard", StatusCode::OK).await;
    assert_eq!(gone["state"], "cancelled");
    assert!(gone["error"].as_str().unwrap().contains("Disk full"));
    let other = api.other_key().await;
    let response = api.bare("POST", &format!("/v1/jobs/{id}/redrive")).bearer_auth(&other).send().await.unwrap();
    problem(response, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_job_is_changed_by_an_operator_promoted_and_run_again_with_another_payload() {
    let api = api().await;
    let operator = api.operator_key().await;
    let new = json!({ "name": "apart", "queue": "apart", "delay": "1h", "tags": ["red"], "timeout": 30, "payload": { "n": 1 } });
    let id = json(api.send(&operator, "POST", "/v1/jobs", new).await, StatusCode::CREATED).await["id"].clone();
    let path = format!("/v1/jobs/{}", id.as_str().unwrap());
    sqlx::query("update gristmill.jobs set client_id = $1").bind(api.client_id).execute(&api.stack.pool).await.unwrap();
    let shown = api.json(&path).await;
    assert_eq!((&shown["tags"], &shown["timeout_ms"], &shown["tick"]), (&json!(["red"]), &json!(30_000), &Value::Null));
    assert_eq!(api.json("/v1/jobs?tag=red").await["items"][0]["id"], id);
    assert_eq!(api.json("/v1/jobs?tag=blue").await["items"], json!([]));

    let change = json!({ "payload": { "n": 2 }, "priority": 0, "queue": "other", "tags": ["blue"], "max_attempts": 3, "timeout": "1m" });
    problem(api.send(&api.key, "PATCH", &path, change.clone()).await, StatusCode::FORBIDDEN).await;
    let changed = json(api.send(&operator, "PATCH", &path, change).await, StatusCode::OK).await;
    let told = [&changed["payload"]["n"], &changed["priority"], &changed["max_attempts"], &changed["timeout_ms"]];
    assert_eq!((told, &changed["queue"]), ([&json!(2), &json!(0), &json!(3), &json!(60_000)], &json!("other")));
    assert_eq!(api.json("/v1/jobs?tag=blue").await["items"][0]["id"], id);
    for (wrong, field) in [
        (json!({ "priority": 10 }), "priority"),
        (json!({ "queue": "" }), "queue"),
        (json!({ "tags": ["a", ""] }), "tags[1]"),
        (json!({ "timeout": 0 }), "timeout"),
        (json!({ "payload": "x".repeat(300_000) }), "payload"),
    ] {
        let wrong = problem(api.send(&operator, "PATCH", &path, wrong).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(wrong["errors"][0]["field"], field, "{wrong}");
    }
    problem(api.send(&operator, "PATCH", &path, json!({ "state": "dead" })).await, StatusCode::BAD_REQUEST).await;

    // Its client may have it run at once, and again, but says not what.
    let promoted = json(api.post(&format!("{path}/promote")).send().await.unwrap(), StatusCode::OK).await;
    assert!(promoted["run_at"].as_str().unwrap() < changed["run_at"].as_str().unwrap(), "{promoted}");
    sqlx::query("update gristmill.jobs set state = 'dead', finished_at = now()")
        .execute(&api.stack.pool)
        .await
        .unwrap();
    let told = problem(api.post(&format!("{path}/promote")).send().await.unwrap(), StatusCode::CONFLICT).await;
    assert!(told["detail"].as_str().unwrap().contains("is dead: only one that is scheduled can be promoted"), "{told}");
    let redrive = format!("{path}/redrive");
    let wish = json!({ "payload": { "n": 3 } });
    problem(api.send(&api.key, "POST", &redrive, wish.clone()).await, StatusCode::FORBIDDEN).await;
    let again = json(api.send(&operator, "POST", &redrive, wish.clone()).await, StatusCode::OK).await;
    assert_eq!(
        (&again["state"], &again["payload"]["n"], &again["redriven"]),
        (&json!("available"), &json!(3), &json!(1))
    );
    let told = problem(api.send(&operator, "POST", &redrive, wish).await, StatusCode::CONFLICT).await;
    assert!(told["detail"].as_str().unwrap().contains("is available: only one that is dead"), "{told}");
    let told = problem(api.send(&operator, "PATCH", &path, json!({ "priority": 1 })).await, StatusCode::CONFLICT).await;
    assert!(told["detail"].as_str().unwrap().contains("is available: only a job that is scheduled"), "{told}");
    let nobody = format!("/v1/jobs/{}", Uuid::nil());
    problem(api.send(&operator, "PATCH", &nobody, json!({ "priority": 1 })).await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn an_uploads_jobs_are_not_ended_alone() {
    let api = api().await;
    let upload = api.upload(file(3)).await["id"].as_str().unwrap().to_owned();
    let id = api.json("/v1/jobs?name=uploads.load_chunk").await["items"][0]["id"].as_str().unwrap().to_owned();
    let refused = async |what: &str| {
        let response = api.post(&format!("/v1/jobs/{id}/{what}")).send().await.unwrap();
        let problem = problem(response, StatusCode::CONFLICT).await;
        assert!(problem["detail"].as_str().unwrap().contains(&format!("DELETE /v1/uploads/{upload}")), "{problem}");
    };
    let many = async |action: &str, dry_run: bool| {
        let body = json!({ "action": action, "filter": { "queue": "chunks" }, "dry_run": dry_run });
        json(api.send(&api.key, "POST", "/v1/jobs/actions", body).await, StatusCode::OK).await
    };
    refused("cancel").await;
    assert_eq!(many("cancel", true).await["matched"]["jobs"], 0);
    let left = many("cancel", false).await;
    assert_eq!((&left["changed"], &left["requested"]), (&0.into(), &0.into()));
    let job = api.json(&format!("/v1/jobs/{id}")).await;
    assert_eq!((&job["state"], &job["cancel_requested_at"]), (&"available".into(), &Value::Null));

    assert_eq!(dies(&api, &upload, "Disk full").await, id);
    refused("discard").await;
    // Nor is it given anything else.
    let operator = api.operator_key().await;
    for (method, path, body) in [
        ("PATCH", format!("/v1/jobs/{id}"), json!({ "priority": 0 })),
        ("POST", format!("/v1/jobs/{id}/redrive"), json!({ "payload": {} })),
    ] {
        let problem = problem(api.send(&operator, method, &path, body).await, StatusCode::CONFLICT).await;
        assert!(problem["detail"].as_str().unwrap().contains("which needs it as it is"), "{problem}");
    }
    assert_eq!(many("discard", false).await["changed"], 0);
    // To run it again is what helps, as long as its group waits for it.
    assert_eq!(many("redrive", true).await["matched"]["jobs"], 1);
    let again = api.post(&format!("/v1/jobs/{id}/redrive")).send().await.unwrap();
    assert_eq!(json(again, StatusCode::OK).await["state"], "available");
    assert_eq!(dies(&api, &upload, "Disk full").await, id);
    sqlx::query("update gristmill.groups set state = 'failed', finished_at = now()")
        .execute(&api.stack.pool)
        .await
        .unwrap();
    assert_eq!(many("discard", true).await["matched"]["jobs"], 1);
    let gone = api.post(&format!("/v1/jobs/{id}/discard")).send().await.unwrap();
    assert_eq!(json(gone, StatusCode::OK).await["state"], "cancelled");
}

#[tokio::test]
async fn what_is_a_billing_runs_is_refused_without_naming_an_upload() {
    let api = api().await;
    billed(&api).await;
    let run = json(api.send(&api.key, "POST", "/v1/billing-runs", json!({})).await, StatusCode::ACCEPTED).await;
    let run = run["id"].as_str().unwrap();
    let job = api.json("/v1/jobs?name=billing.plan").await["items"][0]["id"].as_str().unwrap().to_owned();
    let response = api.post(&format!("/v1/jobs/{job}/cancel")).send().await.unwrap();
    let problem = problem(response, StatusCode::CONFLICT).await;
    assert!(problem["detail"].as_str().unwrap().contains(&format!("DELETE /v1/billing-runs/{run}")), "{problem}");
    assert_eq!(problem["upload_id"], Value::Null, "a run is no upload");
}

#[tokio::test]
async fn many_jobs_are_counted_and_then_acted_on() {
    let api = api().await;
    for n in 0..3 {
        let upload = api.upload(file(n + 1)).await["id"].as_str().unwrap().to_owned();
        set_apart(&api).await;
        dies(&api, &upload, if n == 0 { "no such row" } else { "Disk full" }).await;
    }
    let act = async |key: &str, body: Value| api.send(key, "POST", "/v1/jobs/actions", body).await;
    let filter = json!({ "error": "disk full" });
    let dry = json!({ "action": "redrive", "filter": filter, "dry_run": true });
    let counted = json(act(&api.key, dry).await, StatusCode::OK).await;
    assert_eq!(counted["sample"].as_array().unwrap().len(), 2);
    assert_eq!((&counted["matched"], &counted["changed"]), (&json!({ "jobs": 2, "exact": true }), &0.into()));
    // Nobody else's.
    let other = api.other_key().await;
    let wish = json!({ "action": "redrive", "filter": filter, "per_second": 0.001 });
    assert_eq!(json(act(&other, wish.clone()).await, StatusCode::OK).await["changed"], 0);
    insta::assert_json_snapshot!("acted", json(act(&api.key, wish).await, StatusCode::OK).await);
    assert_eq!(api.json("/v1/jobs?state=scheduled&name=apart").await["items"].as_array().unwrap().len(), 1);
    let cancel = json!({ "action": "cancel", "filter": { "name": "apart" } });
    assert_eq!(json(act(&api.key, cancel).await, StatusCode::OK).await["changed"], 2);

    let wrong = [
        (json!({ "action": "cancel" }), "filter"),
        (json!({ "action": "cancel", "filter": {} }), "filter"),
        (json!({ "action": "redrive", "ids": [Uuid::nil()], "per_second": 0 }), "per_second"),
        (json!({ "action": "redrive", "ids": [Uuid::nil()], "cursor": "j1" }), "cursor"),
    ];
    for (body, field) in wrong {
        let problem = problem(act(&api.key, body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let exploding = json!({ "action": "explode", "ids": [Uuid::nil()] });
    for (body, said) in [(exploding, "explode"), (json!({ "action": "cancel", "filter": { "age": "1h" } }), "age")] {
        let problem = problem(act(&api.key, body).await, StatusCode::BAD_REQUEST).await;
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    let response = api.post("/v1/jobs/actions").send().await.unwrap();
    insta::assert_json_snapshot!("no_body", problem(response, StatusCode::UNPROCESSABLE_ENTITY).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_a_job_sees_by_which_key_it_is_encrypted_and_who_waits_for_it_reads_its_result() {
    let keys = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let api = api_on(stack().await, |config| config.role.payloads.payload_keys = Some(keys.into())).await;
    let key = api.operator_key().await;
    let enqueued = api.send(&key, "POST", "/v1/jobs", json!({ "name": "thumb", "payload": { "of": "ana" } })).await;
    let id = json(enqueued, StatusCode::CREATED).await["id"].as_str().unwrap().to_owned();
    let claim = json!({ "worker": "sh-1", "queues": { "default": 1 }, "names": ["thumb"], "wait_ms": 20_000 });
    let line = api.send(&key, "POST", "/v1/work/claims", claim).await.text().await.unwrap();
    assert!(line.contains(r#""payload":{"of":"ana"}"#), "{line}");
    let done = json!({ "worker": "sh-1", "done": [{ "id": id, "delivery": 1, "result": { "said": "ana" } }] });
    json(api.send(&key, "POST", "/v1/work/reports", done).await, StatusCode::OK).await;
    let job =
        json(api.bare("GET", &format!("/v1/jobs/{id}")).bearer_auth(&key).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(
        (&job["payload"]["$encrypted"]["key"], &job["result"]),
        (&json!("a"), &json!({ "said": "ana" })),
        "{job}"
    );
    let kept: bool = sqlx::query_scalar("select result ? '$encrypted' from gristmill.jobs where id = $1")
        .bind(id.parse::<Uuid>().unwrap())
        .fetch_one(&api.stack.pool)
        .await
        .unwrap();
    assert!(kept);

    // The product's own jobs carry ids, which its statements look for.
    let upload = api.upload(file(3)).await;
    let found: i64 = sqlx::query_scalar("select count(*) from gristmill.jobs where payload->>'upload_id' = $1")
        .bind(upload["id"].as_str())
        .fetch_one(&api.stack.pool)
        .await
        .unwrap();
    assert!(found > 0);
}
