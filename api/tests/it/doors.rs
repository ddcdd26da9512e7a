//! What no route takes, asked of every route that the document has.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Api, api, api_with, json as body, problem};

/// A method and the path of a route, with its parameters.
struct Route {
    method: String,
    path: String,
    described: Value,
}

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(gristmill_api::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            found.push(Route { method: method.to_uppercase(), path: path.clone(), described: described.clone() });
        }
    }
    found
}

impl Route {
    fn named(&self, name: &str) -> String {
        self.path
            .replace("{id}", "0199aaaa-0000-7000-8000-000000000000")
            .replace("{delivery_id}", "0199aaaa-0000-7000-8000-000000000000")
            .replace("{file}", name)
            .replace("{code}", name)
            .replace("{name}", name)
    }

    fn parameters(&self, place: &str) -> Vec<&str> {
        let all = self.described["parameters"].as_array().into_iter().flatten();
        all.filter(|parameter| parameter["in"] == place).map(|it| it["name"].as_str().unwrap()).collect()
    }
}

/// Sends bytes as they are and reads all that is answered.
async fn raw(api: &Api, request: &str) -> String {
    let mut stream = TcpStream::connect(api.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn no_text_has_a_nul_or_is_no_text() {
    let api = api().await;
    let key = api.operator_key().await;
    let mut asked = 0;
    for route in routes() {
        let refused = async |path: &str| -> Value {
            let request = api.bare(&route.method, path).bearer_auth(&key);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 400, "{} {path}", route.method);
            problem(response, StatusCode::BAD_REQUEST).await
        };
        for text in ["a%00b", "%FF", "%C3%28"] {
            for name in route.parameters("query") {
                let found = refused(&format!("{}?{name}={text}", route.named("any"))).await;
                assert_eq!(found["errors"][0]["field"], name);
                asked += 1;
            }
            for name in route.parameters("path") {
                refused(&route.path.replace(&format!("{{{name}}}"), text)).await;
                asked += 1;
            }
        }
    }
    assert!(asked > 300, "{asked}");
}

#[tokio::test]
async fn no_text_of_a_body_has_a_nul() {
    let api = api().await;
    let key = api.operator_key().await;
    for field in ["name", "queue", "error"] {
        let action = json!({ "action": "redrive", "filter": { field: "a\0b" }, "dry_run": true });
        let refused = problem(api.send(&key, "POST", "/v1/jobs/actions", action).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["errors"][0]["field"], format!("filter.{field}"));
    }
    let schedule = json!({ "cron": "@daily", "job": { "name": "x", "queue": "x", "payload": { "deep": ["\0"] } } });
    let refused = problem(api.send(&key, "PUT", "/v1/schedules/any", schedule).await, StatusCode::BAD_REQUEST).await;
    assert_eq!(refused["errors"][0]["field"], "job.payload.deep[0]");
}

#[tokio::test]
async fn only_an_object_is_taken_for_one() {
    let api = api().await;
    let key = api.operator_key().await;
    let ask = async |method: &str, path: &str, text: &'static str| -> Response {
        let request = api.bare(method, path).bearer_auth(&key).header("content-type", "application/json");
        request.body(text).send().await.unwrap()
    };
    let set = json!({ "operator_email": "ops@example.com" });
    body(api.send(&key, "PUT", "/v1/settings", set).await, StatusCode::OK).await;
    let limits = json!({ "concurrency": 3 });
    body(api.send(&key, "PUT", "/v1/queues/chunks/limits", limits).await, StatusCode::OK).await;
    // A queue that is not there is 404 whatever is sent.
    sqlx::query("insert into gristmill.queues (name) values ('any')").execute(&api.stack.pool).await.unwrap();
    let mut asked = 0;
    for route in routes() {
        let described = &route.described["requestBody"];
        if !described["content"]["application/json"].is_object() {
            continue;
        }
        // Of this one everything may be left out, the body too.
        let optional = described["required"] == false;
        for text in ["", "[]", " [null]", "null", "7", "\"{}\"", "true"] {
            if optional && text.is_empty() {
                continue;
            }
            let response = ask(&route.method, &route.named("any"), text).await;
            assert_eq!(response.status(), 422, "{} {} {text}", route.method, route.path);
            assert_eq!(problem(response, StatusCode::UNPROCESSABLE_ENTITY).await["type"], "/problems/no-object");
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
    for path in ["/v1/settings", "/v1/queues/chunks/limits"] {
        for text in ["{}", " { \n } "] {
            let refused = problem(ask("PUT", path, text).await, StatusCode::UNPROCESSABLE_ENTITY).await;
            assert!(refused["detail"].as_str().unwrap().contains("name a field"), "{refused}");
        }
    }
    let get = async |path: &str| -> Value {
        body(api.bare("GET", path).bearer_auth(&key).send().await.unwrap(), StatusCode::OK).await
    };
    assert_eq!(get("/v1/settings").await["operator_email"], "ops@example.com", "nothing was reset");
    assert_eq!(get("/v1/queues/chunks").await["limits"]["concurrency"], 3, "nothing was reset");
    assert_eq!(get("/v1/billing-runs").await["items"], json!([]), "nothing began");
    // An array is no object inside either.
    let inside = r#"{"action": "redrive", "dry_run": true, "filter": [["dead"]]}"#;
    problem(ask("POST", "/v1/jobs/actions", inside).await, StatusCode::BAD_REQUEST).await;
    body(ask("POST", "/v1/billing-runs", "").await, StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_its_senders_fault() {
    let api = api_with(|config| config.api.header_timeout = Duration::from_secs(2)).await;
    for path in ["/v1/normalizations", "/v1/jobs/actions", "/v1/settings"] {
        let method = if path == "/v1/settings" { "PUT" } else { "POST" };
        for more in ["", "idempotency-key: k\r\n"] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{more}content-length: 1000\r\n\r\n{{",
                api.key
            );
            let text = raw(&api, &head).await;
            assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("/problems/body-too-slow"), "{path} {text}");
            assert!(text.contains("connection: close"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_the_limit() {
    let api = api().await;
    let many = format!("{{\"description\": \"{}\"}}", "x".repeat(2 << 20));
    let refused = api.post("/v1/normalizations").body(many.clone()).send().await.unwrap();
    let refused = problem(refused, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(refused["detail"].as_str().unwrap().contains("2097152 bytes"), "{refused}");
    // Without a length in its header.
    let pieces = futures::stream::iter([many]).map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(pieces);
    let refused = api.post("/v1/normalizations").body(body).send().await.unwrap();
    problem(refused, StatusCode::PAYLOAD_TOO_LARGE).await;
}

#[tokio::test]
async fn a_request_says_once_where_it_goes_and_who_asks() {
    let api = api().await;
    let ask = async |version: &str, headers: &str| -> String {
        let end = "connection: close\r\n\r\n";
        let text = raw(&api, &format!("GET /v1/uploads {version}\r\n{headers}{end}")).await;
        text.split(' ').nth(1).unwrap().to_owned()
    };
    let key = format!("authorization: Bearer {}\r\n", api.key);
    for host in ["x", "127.0.0.1:8080", "[::1]:80", "a.example", ""] {
        assert_eq!(ask("HTTP/1.1", &format!("host: {host}\r\n{key}")).await, "200", "{host}");
    }
    assert_eq!(ask("HTTP/1.0", &key).await, "200", "HTTP/1.0 knows no host");
    for hosts in
        ["", "host: x\r\nhost: x\r\n", "host: x\r\nhost: y\r\n", "host: a b\r\n", "host: u@x\r\n", "host: x/y\r\n"]
    {
        assert_eq!(ask("HTTP/1.1", &format!("{hosts}{key}")).await, "400", "{hosts}");
    }
    assert_eq!(ask("HTTP/1.0", &format!("host: x\r\nhost: y\r\n{key}")).await, "400");
    assert_eq!(ask("HTTP/1.1", &format!("host: x\r\n{key}{key}")).await, "400", "two keys");
    let twice = api.post("/v1/billing-runs").header("idempotency-key", "a").header("idempotency-key", "b");
    let refused = problem(twice.send().await.unwrap(), StatusCode::BAD_REQUEST).await;
    assert_eq!(refused["errors"][0]["field"], "idempotency-key");
}
