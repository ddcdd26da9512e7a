//! Queues, workers and schedules: for operators.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{api, file, json, problem};

#[tokio::test]
async fn a_client_may_not_steer_what_is_everybodys() {
    let api = api().await;
    let requests = [
        ("GET", "/v1/queues"),
        ("GET", "/v1/queues/chunks"),
        ("POST", "/v1/queues/chunks/pause"),
        ("POST", "/v1/queues/chunks/resume"),
        ("POST", "/v1/queues/chunks/drain"),
        ("PUT", "/v1/queues/chunks/limits"),
        ("GET", "/v1/workers"),
        ("POST", "/v1/workers/0199aaaa-0000-7000-8000-000000000000/drain"),
        ("GET", "/v1/schedules"),
        ("GET", "/v1/schedules/any"),
        ("GET", "/v1/schedules/any/ticks"),
        ("PUT", "/v1/schedules/any"),
        ("DELETE", "/v1/schedules/any"),
        ("POST", "/v1/schedules/any/pause"),
        ("POST", "/v1/schedules/any/resume"),
        ("POST", "/v1/schedules/any/run"),
    ];
    for (method, path) in requests {
        problem(api.send(&api.key, method, path, json!({})).await, StatusCode::FORBIDDEN).await;
    }
    let response = api.get("/v1/queues").send().await.unwrap();
    insta::assert_json_snapshot!("forbidden", problem(response, StatusCode::FORBIDDEN).await);
}

#[tokio::test]
async fn a_queue_is_paused_limited_drained() {
    let api = api().await;
    let key = api.operator_key().await;
    let ask =
        async |method: &str, path: &str| json(api.send(&key, method, path, json!({})).await, StatusCode::OK).await;
    assert_eq!(ask("GET", "/v1/queues").await["items"], json!([]));
    for (method, rest) in [("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/drain"), ("PUT", "/limits")]
    {
        for typo in ["chunsk", "a%20b", "chunks%E2%80%AE", "Gabriel%20Thompson"] {
            let response = api.send(&key, method, &format!("/v1/queues/{typo}{rest}"), json!({})).await;
            problem(response, StatusCode::NOT_FOUND).await;
        }
    }
    assert_eq!(ask("GET", "/v1/queues").await["items"], json!([]), "none of them is there now");
    sqlx::query("insert into gristmill.queues (name) values ('a b')").execute(&api.stack.pool).await.unwrap();
    insta::assert_json_snapshot!("paused_queue", ask("POST", "/v1/queues/a%20b/pause").await);
    assert_eq!(ask("GET", "/v1/queues").await["items"][0]["name"], "a b");
    assert_eq!(ask("POST", "/v1/queues/a%20b/drain").await["draining"], true);
    assert_eq!(ask("POST", "/v1/queues/a%20b/resume").await["draining"], false);
    let limits = json!({ "concurrency": 2, "rate_per_second": 1.5, "burst": 3 });
    let limited = json(api.send(&key, "PUT", "/v1/queues/chunks/limits", limits).await, StatusCode::OK).await;
    assert_eq!(
        limited["limits"],
        json!({ "concurrency": 2, "rate_per_second": 1.5, "burst": 3, "key_concurrency": null })
    );
    for (limits, said) in [
        (json!({ "burst": 3 }), "burst"),
        (json!({ "speed": 3 }), "speed"),
        (json!({ "key_concurrency": 1_u32 << 31 }), "at most 2147483647"),
    ] {
        let response = api.send(&key, "PUT", "/v1/queues/chunks/limits", limits).await;
        let problem = problem(response, StatusCode::BAD_REQUEST).await;
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
}

#[tokio::test]
async fn nobody_works_here() {
    let api = api().await;
    let key = api.operator_key().await;
    assert_eq!(json(api.send(&key, "GET", "/v1/workers", json!({})).await, StatusCode::OK).await["items"], json!([]));
    let path = "/v1/workers/0199aaaa-0000-7000-8000-000000000000/drain";
    problem(api.send(&key, "POST", path, json!({})).await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_schedule_is_made_looked_at_run_and_removed() {
    let api = api().await;
    let key = api.operator_key().await;
    let redrive = json!({ "name": "gristmill.redrive", "queue": "gristmill", "payload": { "per_second": 5 } });
    let body = json!({ "cron": "30 8 1 1 *", "time_zone": "Europe/Berlin", "job": redrive });
    let mut made = json(api.send(&key, "PUT", "/v1/schedules/again", body).await, StatusCode::OK).await;
    for field in ["created_at", "updated_at"] {
        made[field] = format!("[{field}]").into();
    }
    assert!(made["next"][0].as_str().unwrap().ends_with("-01-01T07:30:00Z"), "{made}");
    made["next"] = "[next]".into();
    insta::assert_json_snapshot!("a_schedule", made);
    let ask = async |method: &str, rest: &str, status| {
        json(api.send(&key, method, &format!("/v1/schedules/again{rest}"), json!({})).await, status).await
    };
    assert_eq!(ask("POST", "/pause", StatusCode::OK).await["next"], json!([]));
    assert_eq!(ask("POST", "/run", StatusCode::ACCEPTED).await["cause"], "run_now");
    ask("POST", "/run", StatusCode::ACCEPTED).await;
    assert_eq!(ask("POST", "/resume", StatusCode::OK).await["last"]["job_state"], "available");
    let first = ask("GET", "/ticks?limit=1", StatusCode::OK).await;
    let rest = format!("/ticks?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = ask("GET", &rest, StatusCode::OK).await;
    assert!(second["items"][0]["fire_at"].as_str() < first["items"][0]["fire_at"].as_str(), "{first}{second}");
    let listed = json(api.send(&key, "GET", "/v1/schedules", json!({})).await, StatusCode::OK).await;
    assert_eq!(listed["items"][0]["name"], "again");

    let gone = api.send(&key, "DELETE", "/v1/schedules/again", json!({})).await;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/ticks")] {
        let path = format!("/v1/schedules/again{rest}");
        problem(api.send(&key, method, &path, json!({})).await, StatusCode::NOT_FOUND).await;
    }
    let wrong = [
        (json!({ "cron": "* * * *", "job": redrive }), "cron"),
        (json!({ "cron": "@daily", "time_zone": "Mars/Base", "job": redrive }), "time_zone"),
        (json!({ "cron": "@daily", "jitter_seconds": 1_000_000, "job": redrive }), "jitter_seconds"),
        (json!({ "cron": "@daily", "job": { "name": "", "payload": {} } }), "job"),
        (json!({ "job": redrive }), "cron"),
        (json!({ "cron": "@daily", "at": "2100-01-01T00:00:00Z", "job": redrive }), "at"),
        (json!({ "cron": "@at soon", "job": redrive }), "cron"),
        (json!({ "at": "2020-01-01T00:00:00Z", "job": redrive }), "ends_at"),
        (
            json!({ "cron": "@daily", "starts_at": "2100-01-02T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z", "job": redrive }),
            "ends_at",
        ),
    ];
    for (body, field) in wrong {
        let problem = problem(api.send(&key, "PUT", "/v1/schedules/again", body).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn a_schedule_has_an_overlap_policy_and_bounds_and_one_fires_once() {
    let api = api().await;
    let key = api.operator_key().await;
    let job = json!({ "name": "any", "payload": {} });
    let put = async |name: &str, body: Value| {
        json(api.send(&key, "PUT", &format!("/v1/schedules/{name}"), body).await, StatusCode::OK).await
    };
    let (starts, ends) = ("2100-01-01T00:00:00Z", "2100-01-01T02:00:00Z");
    let body = json!({ "cron": "@hourly", "overlap": "skip", "starts_at": starts, "ends_at": ends, "job": job });
    let made = put("bounded", body).await;
    assert_eq!(
        (&made["overlap"], &made["starts_at"], &made["ends_at"]),
        (&"skip".into(), &starts.into(), &ends.into())
    );
    assert_eq!((&made["ended"], &made["next"]), (&false.into(), &json!([starts, "2100-01-01T01:00:00Z", ends])));
    let once = json!({ "at": starts, "job": job });
    let made = put("once", once.clone()).await;
    assert_eq!(
        (&made["at"], &made["cron"], &made["next"]),
        (&starts.into(), &format!("@at {starts}").into(), &json!([starts]))
    );
    // It has had its time; sent again, it is still that one.
    sqlx::query("update gristmill.schedules set next_at = null where name = 'once'")
        .execute(&api.stack.pool)
        .await
        .unwrap();
    assert_eq!(put("once", once).await["ended"], true);
}

#[tokio::test]
async fn a_schedule_whose_payload_the_ledger_cannot_hold_is_refused() {
    let api = api().await;
    let key = api.operator_key().await;
    let put = async |payload: &str| {
        let body = format!(r#"{{"cron":"@daily","job":{{"name":"any","payload":{payload}}}}}"#);
        let request = api.bare("PUT", "/v1/schedules/again").bearer_auth(&key);
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    };
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(256 * 1024));
    for (payload, said) in [
        (r#"{"a":"b\u0000"}"#, "NUL"),
        (r#"{"a\u0000":1}"#, "NUL"),
        (r#"{"a":"\ud800"}"#, "hex escape"),
        (r#"{"a":1e999999}"#, "number"),
        (&long, "payload_limit"),
    ] {
        let refused = problem(put(payload).await, StatusCode::BAD_REQUEST).await;
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.to_lowercase().contains(&said.to_lowercase()), "{said}: {detail}");
    }
    // And what only looks like it is taken as it is.
    for payload in [r#"{"a":"\\u0000"}"#, r#"{"a":"\ud83d\ude00"}"#, &deep] {
        json(put(payload).await, StatusCode::OK).await;
    }
    let count = "select count(*) from gristmill.schedules where name = 'again'";
    let there: i64 = sqlx::query_scalar(count).fetch_one(&api.stack.pool).await.unwrap();
    assert_eq!(there, 1);
}

#[tokio::test]
async fn an_operator_sees_the_uploads_of_all_clients() {
    let api = api().await;
    let (operator, other) = (api.operator_key().await, api.other_key().await);
    let mine = api.upload(file(1)).await["id"].clone();
    let path = "/v1/uploads?kind=debts";
    let sent = api.bare("POST", path).bearer_auth(&other).header("idempotency-key", "same").body(file(2));
    let theirs = json(sent.send().await.unwrap(), StatusCode::ACCEPTED).await["id"].clone();
    let seen = async |key: &str, query: &str| -> Vec<(Value, Value)> {
        let page = api.bare("GET", &format!("/v1/uploads?{query}")).bearer_auth(key).send().await.unwrap();
        let page = json(page, StatusCode::OK).await;
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| (item["id"].clone(), item["client"].clone())).collect()
    };
    let (whole_mine, whole_theirs) = ((mine.clone(), json!("client")), (theirs.clone(), json!("other")));
    assert_eq!(seen(&operator, "").await, [whole_theirs.clone(), whole_mine.clone()]);
    assert_eq!(seen(&operator, "client=other").await, [whole_theirs]);
    assert_eq!(seen(&operator, "client=client&kind=debts").await, [whole_mine]);
    assert_eq!(seen(&operator, "client=client&kind=claims").await, []);
    // A key is its client's: two clients may have chosen the same.
    assert_eq!(seen(&operator, "idempotency_key=same").await, []);
    assert_eq!(seen(&api.key, "").await, [(mine.clone(), Value::Null)]);
    assert_eq!(seen(&api.key, "client=client").await, [(mine, Value::Null)]);
    for (key, query, status) in
        [(&api.key, "client=other", StatusCode::FORBIDDEN), (&operator, "client=nobody", StatusCode::BAD_REQUEST)]
    {
        let asked = api.bare("GET", &format!("/v1/uploads?{query}")).bearer_auth(key).send().await.unwrap();
        problem(asked, status).await;
    }
}
