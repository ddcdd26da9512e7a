//! A server of the routes, and who talks to it.

use std::{sync::Arc, time::Duration};

use gristmill_http::{Access, Allowed, Refused, Right, parts::Parts};
use gristmill_platform::testing::{self, Stack};
use gristmill_queue::{BrokerConfig, Codec, Queue, QueueConfig, Sweeper};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Whoever has the key.
struct OneKey;

impl Access for OneKey {
    fn allows<'a>(&'a self, request: &'a Parts, right: Right) -> Allowed<'a> {
        Box::pin(async move {
            match request.headers.get("authorization").and_then(|value| value.to_str().ok()) {
                Some("Bearer all") => Ok(()),
                Some("Bearer enqueue") if right == Right::Enqueue => Ok(()),
                Some("Bearer enqueue") => Err(Refused::forbidden()),
                _ => Err(Refused::unauthorized()),
            }
        })
    }
}

pub(crate) struct Server {
    pub(crate) stack: Arc<Stack>,
    pub(crate) queue: Queue,
    url: String,
    client: Client,
    _tasks: [AbortOnDropHandle<()>; 2],
}

pub(crate) async fn server() -> Server {
    let stack = Arc::new(testing::stack().await);
    let redis = BrokerConfig::Redis { url: stack.redis_url.clone() };
    server_on(stack, redis, None).await
}

/// A server that keeps payloads by this codec.
pub(crate) async fn server_with(codec: Arc<dyn Codec>) -> Server {
    let stack = Arc::new(testing::stack().await);
    let redis = BrokerConfig::Redis { url: stack.redis_url.clone() };
    server_on(stack, redis, Some(codec)).await
}

/// A server with either broker.
pub(crate) async fn both() -> [Server; 2] {
    [server().await, server_on(Arc::new(testing::stack().await), BrokerConfig::Postgres, None).await]
}

async fn server_on(stack: Arc<Stack>, broker: BrokerConfig, codec: Option<Arc<dyn Codec>>) -> Server {
    // Whoever was first has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = QueueConfig {
        namespace: stack.namespace.clone(),
        backoff: Duration::from_millis(20),
        codec,
        ..QueueConfig::on(broker)
    };
    let queue = Queue::connect(stack.pool.clone(), config).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = gristmill_http::router(&queue, OneKey);
    let serves = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    let sweeps = AbortOnDropHandle::new(tokio::spawn(Sweeper::new(&queue).run(CancellationToken::new())));
    Server { stack, queue, url, client: Client::new(), _tasks: [serves, sweeps] }
}

impl Server {
    /// Another one of the same queue, without its codec.
    pub(crate) async fn without_keys(&self) -> Self {
        let stack = Arc::clone(&self.stack);
        let redis = BrokerConfig::Redis { url: stack.redis_url.clone() };
        server_on(stack, redis, None).await
    }

    pub(crate) fn request(&self, path: &str, key: &str) -> RequestBuilder {
        self.client.request(Method::POST, format!("{}{path}", self.url)).bearer_auth(key)
    }

    /// What a body is answered.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<String>) -> (StatusCode, Value) {
        let answer = self.request(path, "all").body(body.into()).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth("all").send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.post_text(path, body.to_string()).await
    }

    /// The id of a new job.
    pub(crate) async fn enqueue(&self, job: &Value) -> String {
        let (status, answer) = self.post("/v1/jobs", job).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Lines of the answer to a claim.
    pub(crate) async fn claim(&self, worker: &str, room: u32, wait_ms: u64) -> Vec<Value> {
        let names = ["thumb", "join"];
        let queues = json!({ "thumbs": room });
        let body =
            json!({ "worker": worker, "language": "shell", "queues": queues, "names": names, "wait_ms": wait_ms });
        let answer = self.request("/v1/work/claims", "all").body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) async fn report(&self, worker: &str, report: &Value) -> Value {
        let mut report = report.clone();
        report["worker"] = worker.into();
        let (status, answer) = self.post("/v1/work/reports", &report).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    pub(crate) async fn done(&self, worker: &str, jobs: &[Value]) -> Value {
        let done: Vec<Value> = jobs.iter().map(|job| json!({ "id": job["id"], "delivery": job["delivery"] })).collect();
        self.report(worker, &json!({ "done": done })).await
    }

    pub(crate) async fn state(&self, id: &str) -> (String, Option<Value>) {
        let id: uuid::Uuid = id.parse().unwrap();
        sqlx::query_as("select state, result from gristmill.jobs where id = $1")
            .bind(id)
            .fetch_one(&self.stack.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn jobs(&self) -> i64 {
        sqlx::query_scalar("select count(*) from gristmill.jobs").fetch_one(&self.stack.pool).await.unwrap()
    }
}
