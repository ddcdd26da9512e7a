//! The same small POST again.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Api, api, json, problem};

async fn run(api: &Api, client: &str, key: &str, path: &str, body: Value) -> Response {
    api.bare("POST", path).bearer_auth(client).header("idempotency-key", key).json(&body).send().await.unwrap()
}

async fn scheduled(api: &Api, operator: &str) {
    let body = json!({ "cron": "@yearly", "job": { "name": "any", "payload": {} } });
    assert_eq!(api.send(operator, "PUT", "/v1/schedules/any", body).await.status(), StatusCode::OK);
}

async fn jobs(api: &Api) -> i64 {
    sqlx::query_scalar("select count(*) from gristmill.jobs").fetch_one(&api.stack.pool).await.unwrap()
}

#[tokio::test]
async fn the_same_request_is_answered_alike_and_done_once() {
    let api = api().await;
    let operator = api.operator_key().await;
    scheduled(&api, &operator).await;
    let path = "/v1/schedules/any/run";
    let first = run(&api, &operator, "k1", path, json!({})).await;
    assert!(first.headers().get("idempotency-replayed").is_none());
    let first = json(first, StatusCode::ACCEPTED).await;
    for _ in 0..2 {
        let again = run(&api, &operator, "k1", path, json!({})).await;
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.headers()["content-type"], "application/json");
        assert_eq!(json(again, StatusCode::ACCEPTED).await, first);
    }
    assert_eq!(jobs(&api).await, 1);
    // Another body, another address: another request.
    for (path, body) in [(path, json!({ "n": 1 })), ("/v1/schedules/any/pause", json!({}))] {
        let response = run(&api, &operator, "k1", path, body).await;
        let problem = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(problem["type"], "/problems/idempotency-key-reused");
    }
    // Another key, or another client's: other work.
    run(&api, &operator, "k2", path, json!({})).await;
    assert_eq!(jobs(&api).await, 2);
    let filter = json!({ "action": "cancel", "filter": { "name": "any" } });
    let answer = run(&api, &api.key, "k1", "/v1/jobs/actions", filter).await;
    assert_eq!(json(answer, StatusCode::OK).await["changed"], 0);
}

#[tokio::test]
async fn of_many_at_a_time_one_is_done() {
    let api = api().await;
    let operator = api.operator_key().await;
    scheduled(&api, &operator).await;
    let all = (0..8).map(|_| run(&api, &operator, "k", "/v1/schedules/any/run", json!({})));
    let answers = futures::future::join_all(all).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert!(statuses.contains(&202) && statuses.iter().all(|status| [202, 409].contains(status)), "{statuses:?}");
    assert_eq!(jobs(&api).await, 1);
}

#[tokio::test]
async fn a_request_in_flight_is_said_to_be_and_an_abandoned_one_is_done_anew() {
    let api = api().await;
    let operator = api.operator_key().await;
    scheduled(&api, &operator).await;
    let path = "/v1/schedules/any/run";
    run(&api, &operator, "k", path, json!({})).await;
    // As if its process had died before the answer.
    let forget = "update idempotent_requests set status = null, body = null";
    sqlx::query(forget).execute(&api.stack.pool).await.unwrap();
    let response = run(&api, &operator, "k", path, json!({})).await;
    assert_eq!(response.headers()["retry-after"], "2");
    insta::assert_json_snapshot!("in_flight", problem(response, StatusCode::CONFLICT).await);
    let age = "update idempotent_requests set created_at = now() - interval '61 seconds'";
    sqlx::query(age).execute(&api.stack.pool).await.unwrap();
    json(run(&api, &operator, "k", path, json!({})).await, StatusCode::ACCEPTED).await;
    assert_eq!(jobs(&api).await, 2);
}

#[tokio::test]
async fn what_was_refused_is_asked_anew() {
    let api = api().await;
    let operator = api.operator_key().await;
    let path = "/v1/schedules/any/run";
    problem(run(&api, &operator, "k", path, json!({})).await, StatusCode::NOT_FOUND).await;
    scheduled(&api, &operator).await;
    json(run(&api, &operator, "k", path, json!({})).await, StatusCode::ACCEPTED).await;
    let long = "k".repeat(256);
    problem(run(&api, &operator, &long, path, json!({})).await, StatusCode::BAD_REQUEST).await;
}
