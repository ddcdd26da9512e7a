//! Jobs for producers and workers in any language, as this API serves them: by operators' keys, once for each key of a request.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{api, json, problem};

#[tokio::test]
async fn an_operator_enqueues_once_and_a_worker_by_http_does_it() {
    let api = api().await;
    let operator = api.operator_key().await;
    let post = |path: &str, body: &Value| api.bare("POST", path).bearer_auth(&operator).body(body.to_string());
    let new = json!({ "name": "thumb", "queue": "thumbs", "payload": { "n": 1 } });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = post("/v1/jobs", &new).header("idempotency-key", "once").send().await.unwrap();
        ids.push(json(answer, StatusCode::CREATED).await["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    let other = json!({ "name": "thumb" });
    let reused = post("/v1/jobs", &other).header("idempotency-key", "once").send().await.unwrap();
    problem(reused, StatusCode::UNPROCESSABLE_ENTITY).await;
    let batch = "{\"name\": \"thumb\", \"queue\": \"thumbs\"}\n".repeat(3);
    for _ in 0..2 {
        let request = api.bare("POST", "/v1/jobs/batch").bearer_auth(&operator).body(batch.clone());
        let answer = request.header("idempotency-key", "batch").send().await.unwrap();
        assert_eq!(json(answer, StatusCode::CREATED).await["ids"].as_array().unwrap().len(), 3);
    }
    let claim = json!({ "worker": "sh-1", "queues": { "thumbs": 8 }, "names": ["thumb"], "wait_ms": 20_000 });
    let mut done = 0;
    while done < 4 {
        let lines = post("/v1/work/claims", &claim).send().await.unwrap().text().await.unwrap();
        let jobs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ended: Vec<Value> =
            jobs.iter().map(|job| json!({ "id": job["id"], "delivery": job["delivery"], "result": 7 })).collect();
        let report = json!({ "worker": "sh-1", "done": ended });
        let orders = json(post("/v1/work/reports", &report).send().await.unwrap(), StatusCode::OK).await;
        assert_eq!(orders, json!({ "lost": [], "cancel": [], "drain": false, "refused": [] }));
        done += jobs.len();
    }
    assert_eq!(done, 4, "a request that was sent again has enqueued nothing");
    let path = format!("/v1/jobs/{}", ids[0].as_str().unwrap());
    let job = json(api.bare("GET", &path).bearer_auth(&operator).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!((&job["state"], &job["result"], &job["worker"]), (&json!("completed"), &json!(7), &json!("sh-1")));

    let wrong = problem(post("/v1/jobs", &json!({ "nam": "x" })).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert_eq!((&wrong["errors"][0]["field"], wrong["instance"].is_string()), (&json!("nam"), true));
    let client = api.bare("POST", "/v1/jobs").bearer_auth(&api.key).body(new.to_string()).send().await.unwrap();
    problem(client, StatusCode::FORBIDDEN).await;
    let client =
        api.bare("POST", "/v1/work/claims").bearer_auth(&api.key).body(claim.to_string()).send().await.unwrap();
    problem(client, StatusCode::FORBIDDEN).await;
}
