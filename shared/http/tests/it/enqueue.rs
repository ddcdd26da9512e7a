//! Jobs and groups come in.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::server;

fn lines(jobs: impl Iterator<Item = Value>) -> String {
    jobs.map(|job| format!("{job}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_what_it_was_given() {
    let server = server().await;
    let id = server
        .enqueue(&json!({
            "name": "thumb", "payload": { "n": 12_345_678_901_234_567_890_u64 }, "queue": "thumbs", "delay": "1h 30m",
            "backoff": { "type": "exponential", "delay_ms": 5_000, "limit_ms": 60_000 },
            "priority": 2, "max_attempts": 3, "timeout": 7.5, "expires_in": "2d", "unique_key": "u", "fair_key": "shop-1",
            "tags": ["signup", "eu"], "retain": 60,
        }))
        .await;
    let row: Value = sqlx::query_scalar(
        "select jsonb_build_object('payload', payload::text, 'queue', queue, 'state', state, 'priority', priority,
                'max_attempts', max_attempts, 'timeout', timeout_ms, 'unique_key', unique_key, 'fair_key', fair_key, 'tags', tags,
                'retain', retain_seconds, 'backoff', backoff, 'delay', round(extract(epoch from run_at - created_at)),
                'expires', round(extract(epoch from expires_at - run_at)))
         from gristmill.jobs where id = $1",
    )
    .bind(id.parse::<uuid::Uuid>().unwrap())
    .fetch_one(&server.stack.pool)
    .await
    .unwrap();
    assert_eq!(
        row,
        json!({
            "payload": r#"{"n": 12345678901234567890}"#, "queue": "thumbs", "state": "scheduled", "priority": 2,
            "max_attempts": 3, "timeout": 7_500, "unique_key": "u", "fair_key": "shop-1", "tags": ["signup", "eu"],
            "backoff": { "type": "exponential", "delay_ms": 5_000, "limit_ms": 60_000 },
            "retain": 60, "delay": 5_400, "expires": 172_800,
        })
    );
    // The key is taken.
    let (status, answer) = server.post("/v1/jobs", &json!({ "name": "other", "unique_key": "u" })).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "existing": id })));
    let least = server.enqueue(&json!({ "name": "thumb" })).await;
    assert_eq!(server.state(&least).await.0, "available");
    let at = server.enqueue(&json!({ "name": "thumb", "run_at": "2999-01-01T00:00:00Z" })).await;
    assert_eq!(server.state(&at).await.0, "scheduled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_job_may_replace_the_one_that_waits_and_jobs_keep_their_order() {
    let server = server().await;
    let daily = |n: u32, mode: &str| json!({ "name": "thumb", "unique_key": "daily", "unique_mode": mode, "delay": "1h", "payload": { "n": n } });
    let id = server.enqueue(&daily(1, "replace")).await;
    let (status, answer) = server.post("/v1/jobs", &daily(2, "replace")).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "existing": id, "replaced": true })));
    let (_, answer) = server.post("/v1/jobs", &daily(3, "keep")).await;
    assert_eq!(answer, json!({ "existing": id }));
    let batch = lines([daily(4, "debounce"), json!({ "name": "thumb" }), daily(5, "keep")].into_iter());
    let (status, answer) = server.post_text("/v1/jobs/batch", batch).await;
    assert_eq!((status, &answer["existing"], &answer["replaced"]), (StatusCode::CREATED, &json!([1, 3]), &json!([1])));
    let payload: Value = sqlx::query_scalar("select payload from gristmill.jobs where unique_key = 'daily'")
        .fetch_one(&server.stack.pool)
        .await
        .unwrap();
    assert_eq!(payload, json!({ "n": 4 }));
    let (status, problem) = server.post("/v1/jobs", &daily(6, "later")).await;
    assert!(status == StatusCode::BAD_REQUEST || status == StatusCode::UNPROCESSABLE_ENTITY, "{status}: {problem}");

    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(
            server
                .enqueue(&json!({ "name": "thumb", "queue": "thumbs", "order_key": "o", "payload": { "n": n } }))
                .await,
        );
    }
    for id in ids {
        let jobs = server.claim("sh-1", 10, 20_000).await;
        assert_eq!(jobs.iter().map(|job| job["id"].as_str().unwrap()).collect::<Vec<_>>(), [id]);
        server.done("sh-1", &jobs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_jobs_come_in_one_request_and_run() {
    let server = server().await;
    let body = lines((0..10_000).map(|n| json!({ "name": "thumb", "queue": "thumbs", "payload": { "n": n } })));
    let (status, answer) = server.post_text("/v1/jobs/batch", body.clone()).await;
    assert_eq!((status, answer["ids"].as_array().unwrap().len()), (StatusCode::CREATED, 10_000));
    assert_eq!(answer["existing"], json!([]));
    assert_eq!(server.jobs().await, 10_000);
    let mut done = 0;
    while done < 10_000 {
        let jobs = server.claim("sh-1", 500, 20_000).await;
        assert!(!jobs.is_empty(), "after {done} none came");
        done += jobs.len();
        server.done("sh-1", &jobs).await;
    }
    let completed: i64 = sqlx::query_scalar("select count(*) from gristmill.jobs where state = 'completed'")
        .fetch_one(&server.stack.pool)
        .await
        .unwrap();
    assert_eq!(completed, 10_000);
    let (status, problem) = server.post_text("/v1/jobs/batch", body + "{\"name\": \"one.more\"}").await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("more than 10000 jobs"), "{problem}");
    assert_eq!(server.jobs().await, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_comes_in_whole_or_not_at_all() {
    let server = server().await;
    let mut body = lines((0..5).map(|n| json!({ "name": "thumb", "unique_key": format!("k{}", n % 3) })));
    body.insert_str(0, "\n  \n");
    let (status, answer) = server.post_text("/v1/jobs/batch", body).await;
    assert_eq!(status, StatusCode::CREATED);
    let ids = answer["ids"].as_array().unwrap();
    // Blank lines count, so that an editor finds what is meant.
    assert_eq!((answer["existing"].clone(), &ids[3], &ids[4]), (json!([6, 7]), &ids[0], &ids[1]));
    assert_eq!(server.jobs().await, 3);

    let wrong = [
        r#"{"name": "thumb"}"#,
        r#"{"name": "thumb", "quue": "x"}"#,
        r#"{"name": "thumb", "priority": 12}"#,
        r#"{"name": "thumb", "#,
        r#"["thumb"]"#,
        r#"{"payload": {}}"#,
        r#"{"name": "a", "delay": "soon"}"#,
    ];
    let (status, problem) = server.post_text("/v1/jobs/batch", wrong.join("\n")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["line 2: quue", "line 3: priority", "line 4", "line 5", "line 6: name", "line 7: delay"]);
    let group = uuid::Uuid::new_v4();
    let late = lines([json!({ "name": "thumb" }), json!({ "name": "thumb", "group": group })].into_iter());
    let (status, problem) = server.post_text("/v1/jobs/batch", late).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().starts_with("line 2: group"), "{problem}");
    let nul = "{\"name\": \"thumb\"}\n{\"name\": \"thumb\", \"payload\": \"\\u0000\"}";
    let (status, problem) = server.post_text("/v1/jobs/batch", nul).await;
    assert_eq!((status, problem["errors"][0]["field"].as_str()), (StatusCode::BAD_REQUEST, Some("line 2: payload")));
    assert_eq!(server.jobs().await, 3, "nothing of what is wrong came in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_a_thousand_ends_in_its_join() {
    let server = server().await;
    let join = json!({ "name": "join", "queue": "thumbs", "payload": { "of": 1_000 } });
    let (status, group) = server.post("/v1/groups", &json!({ "name": "import", "on_complete": join })).await;
    assert_eq!(status, StatusCode::CREATED, "{group}");
    let id = group["id"].as_str().unwrap();
    let members = lines((0..1_000).map(|_| json!({ "name": "thumb", "queue": "thumbs", "group": id })));
    assert_eq!(server.post_text("/v1/jobs/batch", members).await.0, StatusCode::CREATED);
    let (status, sealed) = server.post_text(&format!("/v1/groups/{id}/seal"), "").await;
    assert_eq!((status, &sealed["total"], &sealed["state"]), (StatusCode::OK, &json!(1_000), &json!("open")));
    let late = json!({ "name": "thumb", "queue": "thumbs", "group": id });
    assert_eq!(server.post("/v1/jobs", &late).await.0, StatusCode::CONFLICT);
    let mut members = 0;
    loop {
        let jobs = server.claim("sh-1", 500, 20_000).await;
        let orders = server.done("sh-1", &jobs).await;
        assert_eq!(orders["lost"], json!([]));
        if jobs.iter().any(|job| job["name"] == "join") {
            assert_eq!((jobs.len(), &jobs[0]["payload"]), (1, &json!({ "of": 1_000 })));
            break;
        }
        members += jobs.len();
    }
    assert_eq!(members, 1_000);
    let (_, sealed) = server.post_text(&format!("/v1/groups/{id}/seal"), "").await;
    assert_eq!((&sealed["state"], &sealed["completed"]), (&json!("completed"), &json!(1_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_runs_stage_after_stage() {
    let server = server().await;
    let job = |n: i64| json!({ "name": "thumb", "queue": "thumbs", "payload": { "n": n } });
    let flow = json!({
        "name": "import",
        "on_complete": { "name": "join", "queue": "thumbs", "payload": { "end": true } },
        "stages": [
            { "name": "report", "after": ["left", "right"], "after_failure": "continue", "jobs": [job(4)] },
            { "name": "left", "after": ["fetch"], "policy": "fail_fast", "jobs": [job(2)] },
            { "name": "right", "after": ["fetch"], "jobs": [job(3), job(3)] },
            { "name": "fetch", "jobs": [job(1)] },
        ],
    });
    let (status, answer) = server.post("/v1/flows", &flow).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let names: Vec<_> = answer["stages"].as_array().unwrap().iter().map(|stage| stage["name"].clone()).collect();
    assert_eq!(names, ["report", "left", "right", "fetch"]);
    assert_eq!(answer["stages"][2]["jobs"].as_array().unwrap().len(), 2);
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let jobs = server.claim("sh-1", 10, 20_000).await;
        assert!(!jobs.is_empty(), "nothing comes after {seen:?}");
        seen.extend(jobs.iter().map(|job| job["payload"]["n"].as_i64().unwrap_or(9)));
        server.done("sh-1", &jobs).await;
    }
    let of = |stage: usize| answer["stages"][stage]["jobs"][0].as_str().unwrap();
    let members = async |query: String| {
        let answer = server.get(&format!("/v1/jobs/{query}")).await;
        (answer.0, answer.1["items"].as_array().map_or(0, Vec::len), answer.1)
    };
    let (status, n, told) = members(format!("{}/members", of(0))).await;
    assert_eq!((status, n, &told["items"][0]["state"]), (StatusCode::OK, 3, &json!("completed")), "{told}");
    assert_eq!(members(format!("{}/members?stage=fetch", of(0))).await.1, 1);
    let (_, n, told) = members(format!("{}/members?limit=2", of(0))).await;
    assert_eq!(n, 2);
    assert_eq!(members(format!("{}/members?after={}", of(0), told["items"][1]["id"].as_str().unwrap())).await.1, 1);
    assert_eq!(members(format!("{}/members", of(3))).await.1, 0);
    assert_eq!(members(format!("{}/members?limit=0", of(0))).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(members(format!("{}/members?stages=x", of(0))).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(members(format!("{}/members", uuid::Uuid::nil())).await.0, StatusCode::NOT_FOUND);
    let last = seen.len() - 1;
    seen[1..last - 1].sort_unstable();
    assert_eq!(seen, [1, 2, 3, 3, 4, 9]);

    for (stages, told) in [
        (json!([]), "the flow has no stage"),
        (json!([{ "name": "a", "jobs": [] }]), "stage `a` has no job"),
        (json!([{ "name": "a", "after": ["b"], "jobs": [job(1)] }]), "waits for `b`, which the flow does not have"),
        (json!([{ "name": "a", "after": ["a"], "jobs": [job(1)] }]), "waits for itself"),
        (json!([{ "name": "a", "jobs": [{ "name": "x", "unique_key": "u" }] }]), "a unique key"),
        (json!([{ "name": "a", "jobs": [{ "name": "x", "priority": 12 }] }]), "stages[0].jobs[0].priority"),
        (json!([{ "name": "a", "jobs": [{ "name": "x", "payload": "y".repeat(300_000) }] }]), "job 0 of stage `a`"),
    ] {
        let (status, answer) = server.post("/v1/flows", &json!({ "stages": stages })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{answer}");
    }
    let mut nowhere = flow.clone();
    nowhere["parent"] = json!(uuid::Uuid::nil());
    assert_eq!(server.post("/v1/flows", &nowhere).await.0, StatusCode::CONFLICT);
    let many: Vec<Value> = (0..10_001).map(job).collect();
    let (status, _) = server.post("/v1/flows", &json!({ "stages": [{ "name": "a", "jobs": many }] })).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.jobs().await, 6, "nothing of what is refused");
}
