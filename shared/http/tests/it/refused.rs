//! What is not as it should be is refused, with where and why; nothing of it is done.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::server;

/// A path, a body, the field that is at fault, and a part of what is said of it.
type Row = (&'static str, String, &'static str, &'static str);

fn jobs() -> Vec<Row> {
    let rows = [
        ("", "", "is empty"),
        ("[]", "", "is not a JSON object"),
        (r#"{"name": "#, "", "is no JSON"),
        (r#"{"name": "a"} {}"#, "", "is no JSON object alone"),
        ("{}", "name", "missing field"),
        (r#"{"name": ""}"#, "name", "has 0 characters"),
        (r#"{"name": "a\u0000"}"#, "name", "NUL"),
        (r#"{"name": 7}"#, "name", "invalid type: integer `7`, expected a string"),
        (r#"{"name": "a", "quue": "b"}"#, "quue", "unknown field `quue`, expected one of `name`"),
        (r#"{"name": "a", "queue": ""}"#, "queue", "has 0 characters"),
        (r#"{"name": "a", "delay": "soon"}"#, "delay", "a number of seconds, or a text such as"),
        (r#"{"name": "a", "delay": -1}"#, "delay", "a number of seconds"),
        (r#"{"name": "a", "timeout": 0}"#, "timeout", "is 0"),
        (r#"{"name": "a", "run_at": "tomorrow"}"#, "run_at", "failed to parse"),
        (r#"{"name": "a", "priority": 10}"#, "priority", "is 10"),
        (r#"{"name": "a", "priority": -1}"#, "priority", "expected a whole number from 0 to 255"),
        (r#"{"name": "a", "max_attempts": 0}"#, "max_attempts", "is 0"),
        (r#"{"name": "a", "tags": ["b", 7]}"#, "tags[1]", "expected a string"),
        (r#"{"name": "a", "tags": ["b", ""]}"#, "tags[1]", "has 0 characters"),
        (r#"{"name": "a", "unique_key": "\u0000"}"#, "unique_key", "NUL"),
        (r#"{"name": "a", "group": "b"}"#, "group", "UUID"),
        (r#"{"name": "a", "payload": {"b": "\u0000"}}"#, "payload", "NUL"),
        (r#"{"name": "a", "payload": "\ud800"}"#, "payload", "surrogate"),
    ];
    let large = json!({ "name": "a", "payload": "x".repeat(300_000) }).to_string();
    let rows = rows.into_iter().map(|(body, field, said)| ("/v1/jobs", body.to_owned(), field, said));
    rows.chain([("/v1/jobs", large, "payload", "has 300002 bytes, and 262144")]).collect()
}

fn others() -> Vec<Row> {
    let claim = |change: Value| {
        let mut claim = json!({ "worker": "sh-1", "queues": { "thumbs": 1 }, "names": ["thumb"] });
        claim.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claim.to_string()
    };
    let group = |field: &str, join: Value| json!({ field: join }).to_string();
    let id = uuid::Uuid::new_v4();
    let report = |field: &str, entry: Value| json!({ "worker": "a", field: [entry] }).to_string();
    let failed = |more: Value| {
        let mut failed = json!({ "id": id, "delivery": 1 });
        failed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        report("failed", failed)
    };
    const GROUPS: &str = "/v1/groups";
    const CLAIMS: &str = "/v1/work/claims";
    const REPORTS: &str = "/v1/work/reports";
    vec![
        ("/v1/jobs/batch", "\n\n".into(), "", "has no job"),
        (GROUPS, r#"{"policy": "all"}"#.into(), "policy", "unknown variant `all`"),
        (GROUPS, group("on_complete", json!({ "payload": {} })), "on_complete.name", "missing field"),
        (GROUPS, group("on_complete", json!(["a"])), "on_complete", "an object"),
        (GROUPS, group("on_failure", json!({ "name": "a", "delay": 1 })), "on_failure.delay", "unknown field"),
        (GROUPS, group("on_failure", json!({ "name": "a", "priority": 11 })), "on_failure.priority", "is 11"),
        (CLAIMS, claim(json!({ "worker": "" })), "worker", "has 0 characters"),
        (CLAIMS, claim(json!({ "queues": {} })), "queues", "names no queue"),
        (CLAIMS, claim(json!({ "queues": { "a": -1 } })), "queues.a", "expected a whole number from 0 to 4294967295"),
        (CLAIMS, claim(json!({ "queues": { "a": 300, "b": 201 } })), "queues", "room for 501 jobs"),
        (CLAIMS, claim(json!({ "names": [] })), "names", "names no job"),
        (CLAIMS, claim(json!({ "names": ["a", ""] })), "names[1]", "has 0 characters"),
        (CLAIMS, claim(json!({ "wait_ms": 60_001 })), "wait_ms", "60000 is the longest"),
        (CLAIMS, claim(json!({ "wait": 1 })), "wait", "unknown field `wait`"),
        (REPORTS, "{}".into(), "worker", "missing field"),
        (REPORTS, report("held", json!(["b", 1])), "held[0]", "UUID"),
        (REPORTS, report("held", json!([id])), "held[0]", "tuple"),
        (REPORTS, report("done", json!([id, 1, null])), "done[0]", "an object"),
        (REPORTS, report("done", json!({ "id": id })), "done[0].delivery", "missing field"),
        (
            REPORTS,
            report("done", json!({ "id": id, "delivery": u64::MAX })),
            "done[0].delivery",
            "to 9223372036854775807",
        ),
        (REPORTS, failed(json!({})), "failed[0].error", "missing field"),
        (REPORTS, report("logs", json!({ "id": id, "delivery": 1 })), "logs[0].message", "missing field"),
        (
            REPORTS,
            report("logs", json!({ "id": id, "delivery": 1, "message": "", "level": "loud" })),
            "logs[0].level",
            "unknown variant `loud`",
        ),
        (REPORTS, failed(json!({ "error": "x", "retry": 1 })), "failed[0].retry", "unknown field"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_where_it_is_wrong() {
    let server = server().await;
    let mut wrong = Vec::new();
    for (path, body, field, said) in jobs().into_iter().chain(others()) {
        let (status, problem) = server.post_text(path, body.clone()).await;
        let found = problem["errors"][0]["field"].as_str().unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or_default();
        let is_there = found == field || (!field.is_empty() && found.starts_with(&format!("{field}[")));
        let is_object = body.starts_with('{') || path.ends_with("/batch");
        let expected = if is_object { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        if status != expected || !is_there || !detail.contains(said) {
            wrong.push(format!("{path} {}: {status} `{found}` {detail}", &body[..body.len().min(80)]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_not_held_or_too_long_is_told() {
    let server = server().await;
    let id = uuid::Uuid::new_v4();
    let (status, problem) = server.post("/v1/jobs", &json!({ "name": "a", "group": id })).await;
    assert_eq!((status, problem["type"].as_str()), (StatusCode::CONFLICT, Some("/problems/wrong-state")));
    for group in [id.to_string(), "import".to_owned()] {
        let (status, problem) = server.post_text(&format!("/v1/groups/{group}/seal"), "").await;
        assert_eq!((status, problem["type"].as_str()), (StatusCode::NOT_FOUND, Some("/problems/not-found")));
    }
    let orders = server.report("sh-1", &json!({ "done": [{ "id": id, "delivery": 1 }], "held": [[id, 7]] })).await;
    assert_eq!(orders["lost"], json!([id]));
    let job = server.enqueue(&json!({ "name": "thumb", "queue": "thumbs" })).await;
    let mine = server.claim("sh-1", 1, 20_000).await;
    // Another delivery has no say in it.
    let (done, failed) =
        (json!({ "id": job, "delivery": 2 }), json!({ "id": job, "delivery": i64::MAX, "error": "no" }));
    assert_eq!(server.report("sh-2", &json!({ "done": [done], "failed": [failed] })).await["lost"], json!([job]));
    assert_eq!(server.state(&job).await.0, "available");
    assert_eq!(server.done("sh-1", &mine).await["lost"], json!([]));
    assert_eq!(server.state(&job).await.0, "completed");
    let long = " ".repeat(gristmill_http::MAX_BODY + 1);
    let (status, problem) = server.post_text("/v1/jobs/batch", long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("16777216"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_says_who_may_do_what() {
    let server = server().await;
    let job = json!({ "name": "a" }).to_string();
    let claim = json!({ "worker": "w", "queues": { "a": 1 }, "names": ["a"] }).to_string();
    for (key, path, body, status) in [
        ("none", "/v1/jobs", &job, StatusCode::UNAUTHORIZED),
        ("none", "/v1/work/claims", &claim, StatusCode::UNAUTHORIZED),
        ("enqueue", "/v1/jobs", &job, StatusCode::CREATED),
        ("enqueue", "/v1/work/claims", &claim, StatusCode::FORBIDDEN),
    ] {
        let answer = server.request(path, key).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), status, "{key} {path}");
    }
}
