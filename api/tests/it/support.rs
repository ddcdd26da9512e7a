use std::{net::SocketAddr, time::Duration};

use gristmill_api::{Config, build};
use gristmill_core::ClientId;
use gristmill_platform::{
    config::{ApiConfig, LimitsConfig, OutboundConfig, RoleConfig},
    keys,
    testing::{Stack, stack},
};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const HEADER: &str = "name,governmentId,email,debtAmount,debtDueDate,debtId\n";

/// A served API and a client of it.
pub(crate) struct Api {
    pub(crate) stack: Stack,
    pub(crate) addr: SocketAddr,
    pub(crate) key: String,
    pub(crate) client_id: ClientId,
    http: Client,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

/// An API with the settings of a test: patient with its clients, and soon at its end.
pub(crate) async fn api() -> Api {
    api_with(|_| {}).await
}

pub(crate) async fn api_with(change: impl FnOnce(&mut Config)) -> Api {
    api_on(stack().await, change).await
}

fn config(stack: &Stack) -> Config {
    Config {
        api: ApiConfig {
            addr: "127.0.0.1:0".parse().unwrap(),
            api_grace: Duration::from_millis(500),
            heartbeat: Duration::from_millis(300),
            ..ApiConfig::default()
        },
        limits: LimitsConfig::default(),
        outbound: OutboundConfig::default(),
        role: RoleConfig {
            database: stack.database(),
            redis: stack.redis(),
            store: stack.store_config(),
            ..RoleConfig::default()
        },
    }
}

pub(crate) async fn api_on(stack: Stack, change: impl FnOnce(&mut Config)) -> Api {
    let mut config = config(&stack);
    change(&mut config);
    let server = build(config).await.expect("the API starts");
    let addr = server.addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.serve(shutdown.clone()));
    let key = keys::create(&stack.pool, "client").await.unwrap();
    let client_id = key.client.id;
    // What the binary does at its start.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().no_gzip().timeout(Duration::from_secs(60)).build().unwrap();
    Api { stack, addr, key: key.secret.expose_secret().to_owned(), client_id, http, shutdown, serving }
}

impl Api {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), self.url(path))
    }

    /// A request to another process of the API.
    pub(crate) fn at(&self, addr: SocketAddr, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("http://{addr}{path}"))
    }

    /// Starts another one on the same engines, which stops with this one.
    pub(crate) async fn second(&self) -> SocketAddr {
        let server = build(config(&self.stack)).await.expect("another API starts");
        let addr = server.addr().unwrap();
        tokio::spawn(server.serve(self.shutdown.clone()));
        addr
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.bare("GET", path).bearer_auth(&self.key)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.bare("POST", path).bearer_auth(&self.key)
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        json(self.get(path).send().await.unwrap(), StatusCode::OK).await
    }

    /// Sends a file and expects that it is taken.
    pub(crate) async fn upload(&self, file: impl Into<String>) -> Value {
        json(self.post("/v1/uploads?kind=debts").body(file.into()).send().await.unwrap(), StatusCode::ACCEPTED).await
    }

    /// A key that may steer everything.
    pub(crate) async fn operator_key(&self) -> String {
        keys::create_operator(&self.stack.pool, "ops").await.unwrap().secret.expose_secret().to_owned()
    }

    /// Sends JSON with a key.
    pub(crate) async fn send(&self, key: &str, method: &str, path: &str, body: Value) -> Response {
        self.bare(method, path).bearer_auth(key).json(&body).send().await.unwrap()
    }

    /// Another client's key.
    pub(crate) async fn other_key(&self) -> String {
        keys::create(&self.stack.pool, "other").await.unwrap().secret.expose_secret().to_owned()
    }

    /// What the worker and the join would do in the end.
    pub(crate) async fn pretend(&self, id: &str, state: &str) {
        sqlx::query("update uploads set state = $2, completed_at = now() where id = $1")
            .bind(id.parse::<Uuid>().unwrap())
            .bind(state)
            .execute(&self.stack.pool)
            .await
            .unwrap();
    }

    /// The newest upload of the database.
    pub(crate) async fn newest(&self) -> Value {
        self.json("/v1/uploads?limit=1").await["items"][0].clone()
    }

    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn stopped(self) -> Stack {
        self.shutdown.cancel();
        self.serving.await.expect("serving does not panic");
        self.stack
    }
}

pub(crate) async fn json(response: Response, expected: StatusCode) -> Value {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, expected, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A problem, checked for its form, without what differs from run to run.
pub(crate) async fn problem(response: Response, expected: StatusCode) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let mut body = json(response, expected).await;
    assert_eq!(body["instance"], id);
    body["instance"] = "[request id]".into();
    if body.get("upload_id").is_some() {
        body["upload_id"] = "[upload id]".into();
    }
    body
}

/// `rows` good rows.
pub(crate) fn rows(rows: usize) -> String {
    (0..rows)
        .map(|n| format!("Elijah Santos,9558,janet95@example.com,7811,2024-01-19,{}\n", Uuid::from_u128(n as u128 + 1)))
        .collect()
}

pub(crate) fn file(n: usize) -> String {
    format!("{HEADER}{}", rows(n))
}

/// Asks again until it is so.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = std::time::Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
