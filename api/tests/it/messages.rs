//! Reports and usage over HTTP. The worker's part is pretended by SQL; `worker/tests` has it for real.

use gristmill_clients::{Settings, settings};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Api, api, json as body, problem};

async fn put(api: &Api, id: &str, report: Value) -> reqwest::Response {
    api.send(&api.key, "PUT", &format!("/v1/reports/{id}"), report).await
}

/// An upload with messages in the given state: id, time, twentieths by the text, report.
async fn messages(api: &Api, client: &str, state: &str, rows: &[(&str, &str, i64, Option<&str>)]) -> String {
    let file: String = rows
        .iter()
        .map(|(id, time, ..)| json!({ "id": id, "timestamp": time, "text": format!("of {client}") }).to_string() + "\n")
        .collect();
    let sent = api.bare("POST", "/v1/uploads?kind=messages").bearer_auth(client).body(file).send().await.unwrap();
    let upload = body(sent, StatusCode::ACCEPTED).await;
    let id = upload["id"].as_str().unwrap().to_owned();
    for (message, time, credits, report) in rows {
        sqlx::query(
            "insert into messages (message_key, client_id, upload_id, line, sent_at, text_credits, id, report_id)
             select gen_random_uuid(), client_id, id, 1, $3::timestamptz, $4, $2, $5 from uploads where id = $1::uuid",
        )
        .bind(&id)
        .bind(message)
        .bind(time)
        .bind(credits)
        .bind(report)
        .execute(&api.stack.pool)
        .await
        .unwrap();
    }
    sqlx::query(
        "insert into upload_reports (upload_id, report_id, name, credit_cost)
         select $1::uuid, r.id, r.name, r.credit_cost
         from (values ('5392', 'Tenant Obligations', 1590), ('gone', null, null)) as r (id, name, credit_cost)",
    )
    .bind(&id)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    api.pretend(&id, state).await;
    id
}

#[tokio::test]
async fn reports_are_put_changed_listed_and_deleted() {
    let api = api().await;
    let made = body(put(&api, "5392", json!({ "name": "Leases", "credit_cost": 79 })).await, StatusCode::OK).await;
    assert_eq!((&made["id"], &made["credit_cost"], &made["source"]), (&json!("5392"), &json!(79), &json!("client")));
    body(put(&api, "5392", json!({ "name": "Leases", "credit_cost": 12.5 })).await, StatusCode::OK).await;
    assert_eq!(api.json("/v1/reports/5392").await["credit_cost"], 12.5);
    body(put(&api, "a%2Fb%20%C3%A9", json!({ "name": "Odd", "credit_cost": 0.05 })).await, StatusCode::OK).await;
    assert_eq!(api.json("/v1/reports/a%2Fb%20%C3%A9").await["id"], "a/b é");

    let page = api.json("/v1/reports?limit=1").await;
    assert_eq!(page["items"][0]["id"], "5392");
    let next = api.json(&format!("/v1/reports?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&next["items"][0]["id"], &next["next_cursor"]), (&json!("a/b é"), &Value::Null));
    problem(api.get("/v1/reports?cursor=R1").send().await.unwrap(), StatusCode::BAD_REQUEST).await;

    let other = api.other_key().await;
    let hidden = api.bare("GET", "/v1/reports/5392").bearer_auth(&other).send().await.unwrap();
    problem(hidden, StatusCode::NOT_FOUND).await;
    let hidden = api.bare("DELETE", "/v1/reports/5392").bearer_auth(&other).send().await.unwrap();
    problem(hidden, StatusCode::NOT_FOUND).await;
    let gone = api.bare("DELETE", "/v1/reports/5392").bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    problem(api.get("/v1/reports/5392").send().await.unwrap(), StatusCode::NOT_FOUND).await;
    problem(api.get("/v1/reports/a%00b").send().await.unwrap(), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn reports_that_cannot_be_are_told_why() {
    let api = api().await;
    let long = "x".repeat(129);
    for (id, report, field, said) in [
        ("r", json!({ "name": "x", "credit_cost": 0.01 }), "credit_cost", "is not a multiple of 0.05"),
        ("r", json!({ "name": "x", "credit_cost": 1.999 }), "credit_cost", "at most two decimals"),
        ("r", json!({ "name": "x", "credit_cost": -1 }), "credit_cost", "is not a number from 0"),
        ("r", json!({ "name": "x", "credit_cost": 1_000_001 }), "credit_cost", "is not a number from 0"),
        ("r", json!({ "name": "x", "credit_cost": "5" }), "credit_cost", "is not a number from 0"),
        ("r", json!({ "name": " x", "credit_cost": 1 }), "name", "blanks at its ends"),
        ("r", json!({ "name": "", "credit_cost": 1 }), "name", "is empty"),
        (long.as_str(), json!({ "name": "x", "credit_cost": 1 }), "id", "longer than 128 characters"),
        ("%20r", json!({ "name": "x", "credit_cost": 1 }), "id", "blanks at its ends"),
        ("a%07", json!({ "name": "x", "credit_cost": 1 }), "id", "control characters"),
    ] {
        let refused = problem(put(&api, id, report.clone()).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(
            (&refused["type"], &refused["errors"][0]["field"]),
            (&json!("/problems/invalid-report"), &json!(field))
        );
        assert!(refused["errors"][0]["detail"].as_str().unwrap().contains(said), "{report}: {refused}");
    }
    let refused = problem(put(&api, "r", json!({ "name": "x" })).await, StatusCode::BAD_REQUEST).await;
    assert!(refused["detail"].as_str().unwrap().contains("credit_cost"), "{refused}");
    assert_eq!(api.json("/v1/reports").await["items"], json!([]));
}

#[tokio::test]
async fn many_reports_are_put_as_a_whole_or_not_at_all() {
    let api = api().await;
    let batch = |items: Vec<Value>| api.send(&api.key, "POST", "/v1/reports/batch", json!({ "items": items }));
    let report =
        |n: usize| json!({ "id": n.to_string(), "name": format!("Report {n}"), "credit_cost": n as f64 / 20.0 });
    let done = body(batch((1..=10_000).map(report).collect()).await, StatusCode::OK).await;
    assert_eq!(done["put"], 10_000);
    assert_eq!(api.json("/v1/reports/9999").await["credit_cost"], 499.95);
    for (items, fields) in [
        (vec![], vec!["items"]),
        ((0..10_001).map(report).collect(), vec!["items"]),
        (
            vec![report(1), json!({ "id": "batch", "name": "", "credit_cost": true }), report(1)],
            vec!["items[1].id", "items[1].name", "items[1].credit_cost", "items[2].id"],
        ),
    ] {
        let refused = problem(batch(items).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        let found: Vec<&str> =
            refused["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
        assert_eq!(found, fields);
    }
    let many = (0..200).map(|n| json!({ "id": n.to_string(), "name": "", "credit_cost": 1 })).collect();
    let refused = problem(batch(many).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused["errors"].as_array().unwrap().len(), 100);
    assert!(refused["detail"].as_str().unwrap().ends_with("100 more faults are not listed."), "{refused}");
}

#[tokio::test]
async fn usage_has_the_shape_that_clients_know() {
    let api = api().await;
    let rows = [
        ("1001", "2024-04-29T02:08:29.375Z", 104, None),
        ("1000", "2024-04-29T02:08:29.375Z", 20, Some("gone")),
        ("1002", "2024-04-29T03:25:03.613Z", 58, Some("5392")),
        ("999", "2024-04-28T00:00:00Z", 141, None),
    ];
    let upload = messages(&api, &api.key, "completed", &rows).await;
    messages(&api, &api.key, "processing", &[("2000", "2024-04-29T05:00:00Z", 20, None)]).await;
    messages(&api, &api.key, "cancelled", &[("2001", "2024-04-29T05:00:00Z", 20, None)]).await;
    let other = api.other_key().await;
    messages(&api, &other, "completed", &[("3000", "2024-04-29T05:00:00Z", 20, None)]).await;

    let whole = api.get("/v1/usage").send().await.unwrap().text().await.unwrap();
    let expected = [
        r#"{"message_id":"999","timestamp":"2024-04-28T00:00:00Z","credits_used":7.05}"#,
        r#"{"message_id":"1000","timestamp":"2024-04-29T02:08:29.375Z","credits_used":1}"#,
        r#"{"message_id":"1001","timestamp":"2024-04-29T02:08:29.375Z","credits_used":5.2}"#,
        r#"{"message_id":"1002","timestamp":"2024-04-29T03:25:03.613Z","report_name":"Tenant Obligations","credits_used":79.5}"#,
    ];
    assert_eq!(whole, format!("{{\"usage\":[{}],\"next_cursor\":null}}", expected.join(",")));
    let lines = api.get("/v1/usage").header("accept", "application/x-ndjson").send().await.unwrap();
    assert_eq!(lines.headers()["content-type"], "application/x-ndjson");
    assert_eq!(lines.text().await.unwrap(), expected.join("\n") + "\n");

    let (mut path, mut ids) = ("/v1/usage?limit=1".to_owned(), Vec::new());
    while ids.len() < 5 {
        let page = api.json(&path).await;
        ids.push(page["usage"][0]["message_id"].as_str().unwrap().to_owned());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/usage?limit=1&cursor={cursor}");
    }
    assert_eq!(ids, ["999", "1000", "1001", "1002"]);

    let ids = async |query: &str| {
        let page = api.json(&format!("/v1/usage?{query}")).await;
        let ids = page["usage"].as_array().unwrap().iter().map(|one| one["message_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    // Days are those of São Paulo, unless the settings say otherwise: 2024-04-29T03:00Z is midnight there.
    assert_eq!(ids("from=2024-04-29").await, "1002");
    assert_eq!(ids("to=2024-04-28").await, "999 1000 1001");
    assert_eq!(ids("from=2024-04-29T02:08:29.375Z&to=2024-04-29T03:25:03.613Z").await, "1000 1001");
    settings::put(&api.stack.pool, api.client_id, &Settings { time_zone: "UTC".into(), ..Settings::default() })
        .await
        .unwrap();
    assert_eq!(ids("from=2024-04-29&to=2024-04-29").await, "1000 1001 1002");
    for query in
        ["from=yesterday", "from=2024-04-30&to=2024-04-28", "to=2024-04-29T00:00:00", "cursor=U31", "limit=0", "form=1"]
    {
        problem(api.get(&format!("/v1/usage?{query}")).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    }
    api.pretend(&upload, "cancelled").await;
    assert_eq!(api.json("/v1/usage").await["usage"], json!([]));
}

#[tokio::test]
async fn lines_of_usage_go_on_over_every_page() {
    let api = api().await;
    let id = messages(&api, &api.key, "processing", &[("first", "2024-04-01T00:00:00Z", 20, None)]).await;
    sqlx::query(
        "insert into messages (message_key, client_id, upload_id, line, sent_at, text_credits, id)
         select gen_random_uuid(), $1, $2::uuid, n, '2024-05-01'::timestamptz + n / 3 * interval '1 s', n, 'm' || n
         from generate_series(1, 12000) n",
    )
    .bind(api.client_id)
    .bind(&id)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    api.pretend(&id, "completed").await;
    let text =
        api.get("/v1/usage").header("accept", "application/x-ndjson").send().await.unwrap().text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 12_001);
    let order: Vec<(&str, &str)> =
        lines.iter().map(|line| (line["timestamp"].as_str().unwrap(), line["message_id"].as_str().unwrap())).collect();
    assert!(order.is_sorted() && order.windows(2).all(|two| two[0] != two[1]));
    let sum: f64 = lines.iter().map(|line| line["credits_used"].as_f64().unwrap() * 20.0).sum();
    assert_eq!(sum.round() as i64, 20 + (1..=12_000_i64).sum::<i64>());
}

#[tokio::test]
async fn every_day_has_its_usage_or_none() {
    let api = api().await;
    let rows = [
        ("1", "2024-02-28T02:59:59Z", 1, None),
        ("2", "2024-02-28T03:00:00Z", 104, None),
        ("3", "2024-02-28T23:00:00Z", 58, Some("5392")),
        ("4", "2024-03-01T12:00:00Z", 3, Some("gone")),
        ("5", "2024-03-02T03:00:00Z", 1, None),
    ];
    messages(&api, &api.key, "completed", &rows).await;
    messages(&api, &api.key, "failed", &[("6", "2024-02-28T12:00:00Z", 20, None)]).await;
    let other = api.other_key().await;
    messages(&api, &other, "completed", &[("1", "2024-02-28T12:00:00Z", 20, None)]).await;
    let day =
        |date: &str, messages: i64, credits: Value| json!({ "date": date, "messages": messages, "credits": credits });
    let found = api.json("/v1/usage/daily?from=2024-02-27&to=2024-03-01").await;
    let expected = json!({ "time_zone": "America/Sao_Paulo", "days": [
        day("2024-02-27", 1, json!(0.05)),
        day("2024-02-28", 2, json!(84.7)),
        day("2024-02-29", 0, json!(0)),
        day("2024-03-01", 1, json!(0.15)),
    ] });
    assert_eq!(found, expected);
    let utc = Settings { time_zone: "UTC".into(), ..Settings::default() };
    settings::put(&api.stack.pool, api.client_id, &utc).await.unwrap();
    let found = api.json("/v1/usage/daily?from=2024-02-28&to=2024-02-28").await;
    assert_eq!(found["days"], json!([day("2024-02-28", 3, json!(84.75))]));

    let usual = api.json("/v1/usage/daily").await;
    assert_eq!(usual["days"].as_array().unwrap().len(), 31);
    assert_eq!(usual["days"][30]["date"], utc.date_of(jiff::Timestamp::now()).unwrap().to_string());
    for query in [
        "from=2024-02-30",
        "from=2024-03-02&to=2024-03-01",
        "from=2022-01-01&to=2024-01-01",
        "from=2024-02-28T00:00:00Z",
    ] {
        problem(api.get(&format!("/v1/usage/daily?{query}")).send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test]
async fn rejects_of_lines_of_json_are_one_field_each() {
    let api = api().await;
    let sent =
        api.post("/v1/uploads?kind=messages").header("content-type", "application/x-ndjson").body("{\"id\":1}\n");
    let upload = body(sent.send().await.unwrap(), StatusCode::ACCEPTED).await;
    let id = upload["id"].as_str().unwrap();
    sqlx::query(
        "insert into rejects (upload_id, line, chunk_no, column_name, code, message, raw)
         values ($1::uuid, 1, 0, 'text', 'missing_field', 'text is missing', '{\"id\":1, \"timestamp\":2}')",
    )
    .bind(id)
    .execute(&api.stack.pool)
    .await
    .unwrap();
    let csv = api.get(&format!("/v1/uploads/{id}/rejects")).header("accept", "text/csv").send().await.unwrap();
    assert_eq!(
        csv.text().await.unwrap(),
        "line,column,reason,message,record\n1,text,missing_field,text is missing,\"{\"\"id\"\":1, \"\"timestamp\"\":2}\"\n"
    );
}

#[tokio::test]
async fn files_that_are_neither_are_refused() {
    let api = api().await;
    for (file, said) in [
        ("id,timestamp\n1,2", "the header lacks text"),
        ("1,2024-04-29T00:00:00Z,x\n", "the header lacks id, timestamp, text"),
    ] {
        let refused = api.post("/v1/uploads?kind=messages").body(file).send().await.unwrap();
        let refused = problem(refused, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(refused["type"], "/problems/wrong-header");
        assert!(refused["detail"].as_str().unwrap().to_lowercase().contains(said), "{refused}");
    }
}

#[tokio::test]
async fn an_upstream_has_a_place_for_the_id() {
    let api = api().await;
    let set = |url: &str, age: i64| {
        api.send(&api.key, "PUT", "/v1/settings", json!({ "reports_url": url, "reports_max_age": age }))
    };
    body(set("https://example.com/reports/{id}", 60).await, StatusCode::OK).await;
    for (url, age, field) in [
        ("https://example.com/reports/", 60, "reports_url"),
        ("ftp://example.com/{id}", 60, "reports_url"),
        ("https://{id}/x", 60, "reports_url"),
        ("https://example.com:{id}/", 60, "reports_url"),
        ("https://example.com/?id={id}", 60, "reports_url"),
        ("https://10.0.0.1/{id}", 60, "reports_url"),
        ("http://example.com/{id}", 60, "reports_url"),
        ("https://example.com/{id}", -1, "reports_max_age"),
    ] {
        let refused = problem(set(url, age).await, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(refused["errors"][0]["field"], field);
    }
    assert_eq!(api.json("/v1/settings").await["reports_max_age"], 60);
}
