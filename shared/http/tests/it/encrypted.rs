//! A server with keys: what comes in is kept encrypted, and its workers, which have none, are given it plain.

use std::sync::Arc;

use gristmill_queue::Encryption;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::server_with;

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_is_kept_encrypted_and_given_to_workers_plain() {
    let server = server_with(Arc::new(Encryption::new("a", &[7; 32]).unwrap())).await;
    let join = json!({ "name": "join", "queue": "thumbs", "payload": { "of": "ana" } });
    let (_, group) = server.post("/v1/groups", &json!({ "name": "import", "on_complete": join })).await;
    let group = group["id"].as_str().unwrap();
    let member = json!({ "name": "thumb", "queue": "thumbs", "group": group, "payload": { "picture": "ana" } });
    assert_eq!(server.post_text("/v1/jobs/batch", format!("{member}\n")).await.0, StatusCode::CREATED);
    server.post_text(&format!("/v1/groups/{group}/seal"), "").await;
    let kept: Value =
        sqlx::query_scalar("select payload from gristmill.jobs").fetch_one(&server.stack.pool).await.unwrap();
    assert_eq!(kept["$encrypted"]["key"], "a");

    let jobs = server.claim("sh-1", 8, 20_000).await;
    assert_eq!(jobs[0]["payload"], json!({ "picture": "ana" }));
    let id = jobs[0]["id"].as_str().unwrap();
    let step = json!({ "id": id, "delivery": 1, "name": "look", "result": { "at": "ana" } });
    server.report("sh-1", &json!({ "held": [[id, 1]], "steps": [step] })).await;
    let done = json!({ "done": [{ "id": id, "delivery": 1, "result": { "seen": "ana" } }] });
    server.report("sh-1", &done).await;
    assert_eq!(server.state(id).await.1.unwrap()["$encrypted"]["key"], "a");

    let joins = server.claim("sh-1", 8, 20_000).await;
    assert_eq!(joins[0]["payload"], json!({ "of": "ana" }));
    let (status, members) = server.get(&format!("/v1/jobs/{}/members", joins[0]["id"].as_str().unwrap())).await;
    assert_eq!((status, &members["items"][0]["result"]), (StatusCode::OK, &json!({ "seen": "ana" })), "{members}");
    // A server beside it that lacks the key says so.
    let other = server.without_keys().await;
    let (status, problem) = other.get(&format!("/v1/jobs/{}/members", joins[0]["id"].as_str().unwrap())).await;
    assert_eq!((status, &problem["type"]), (StatusCode::CONFLICT, &json!("/problems/wrong-state")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("key `a`, which this process does not have"), "{problem}");
    let shown: i64 = sqlx::query_scalar(
        "select (select count(*) from gristmill.jobs j where j::text like '%ana%') +
                (select count(*) from gristmill.groups g where g::text like '%ana%') +
                (select count(*) from gristmill.job_steps s where s::text like '%ana%')",
    )
    .fetch_one(&server.stack.pool)
    .await
    .unwrap();
    assert_eq!(shown, 0);

    // As another job it is none of this ring's.
    let (status, problem) = server.post("/v1/jobs", &json!({ "name": "join", "payload": kept })).await;
    assert_eq!(
        (status, problem["errors"][0]["field"].as_str()),
        (StatusCode::BAD_REQUEST, Some("payload")),
        "{problem}"
    );
}
