//! Processes and engines die in the middle of a file. Nobody restarts anything by hand but the engine that was killed,
//! and the counts end exact.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use gristmill_pipelines::generate::{self, Counts, Options};
use gristmill_platform::{
    engines::{Engine, Engines},
    testing::{self, Stack},
};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::gristmill;

/// Roles as processes on engines of their own.
struct Mill {
    engines: Engines,
    stack: Stack,
    api: String,
    port: u16,
    key: String,
    file: Vec<u8>,
    counts: Counts,
}

/// A process that is gone when the test is.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Mill {
    async fn new() -> Self {
        // Fails when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let engines = testing::engines().await;
        let stack = testing::stack_on(&engines).await;
        let key = gristmill_platform::keys::create(&stack.pool, "acme").await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut file = Vec::new();
        let options = Options { rows: 60_000, bad: 0.01, duplicates: 0.01, seed: 5, ..Options::default() };
        let counts = generate::debts(&options, &mut file).unwrap();
        let key = secrecy::ExposeSecret::expose_secret(&key.secret).to_owned();
        Self { engines, stack, api: format!("http://127.0.0.1:{port}"), port, key, file, counts }
    }

    fn start(&self, role: &str) -> Process {
        let mut command: Command = gristmill(&self.stack.dir);
        command
            .arg(role)
            .env("DATABASE_URL", &self.stack.database_url)
            .env("REDIS_URL", &self.stack.redis_url)
            .env("GRISTMILL_REDIS_NAMESPACE", &self.stack.namespace)
            .env("GRISTMILL_STORE_URL", &self.stack.store_url)
            .env("GRISTMILL_ADDR", format!("127.0.0.1:{}", self.port))
            .env("GRISTMILL_CHUNK_BYTES", "64KiB")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.stack.dir.join(format!("{role}.log"))).unwrap());
        Process(command.spawn().unwrap())
    }

    async fn start_api(&self) -> Process {
        let api = self.start("api");
        let since = Instant::now();
        while reqwest::get(format!("{}/readyz", self.api)).await.is_err() {
            assert!(since.elapsed() < Duration::from_secs(30), "the API does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        api
    }

    async fn send(&self) -> String {
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/uploads?kind=debts", self.api))
            .bearer_auth(&self.key)
            .body(self.file.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
        let upload: Value = answer.json().await.unwrap();
        upload["id"].as_str().unwrap().to_owned()
    }

    async fn find(&self, id: &str) -> Option<Value> {
        let url = format!("{}/v1/uploads/{id}", self.api);
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.key).send().await.ok()?;
        if answer.status() == 200 { answer.json().await.ok() } else { None }
    }

    /// Waits until an upload is as wanted.
    async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            if let Some(upload) = self.find(id).await
                && wanted(&upload)
            {
                return upload;
            }
            assert!(since.elapsed() < Duration::from_secs(90), "still {:?}", self.find(id).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn half_done(&self, id: &str) {
        self.until(id, |upload| upload["chunks"]["done"].as_i64().unwrap() >= 10).await;
        let upload = self.find(id).await.unwrap();
        assert_eq!(upload["state"], "processing", "the file is too small to be caught in the middle");
    }

    /// The file is closed, its counts are exact, its rows are there, and its join fired once.
    async fn exact(&self, id: &str) {
        let upload = self.until(id, |upload| upload["state"] == "completed" || upload["state"] == "failed").await;
        let rows = serde_json::json!({
            "read": self.counts.read(), "accepted": self.counts.accepted,
            "rejected": self.counts.rejected, "duplicate": self.counts.duplicate,
        });
        assert_eq!((&upload["state"], &upload["rows"]), (&Value::from("completed"), &rows), "{upload}");
        assert_eq!(self.count("select count(*) from debts").await, self.counts.accepted.cast_signed());
        assert_eq!(self.count("select count(*) from jobs where name = 'uploads.close'").await, 1);
        assert_eq!(self.count("select count(*) from jobs where state = 'dead'").await, 0);
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.stack.pool).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_chunks_run_elsewhere_within_ten_seconds() {
    let mill = Mill::new().await;
    let (_api, _scheduler) = (mill.start_api().await, mill.start("scheduler"));
    let (mut first, _second) = (mill.start("worker"), mill.start("worker"));
    let id = mill.send().await;
    mill.half_done(&id).await;
    first.kill();
    let since = Instant::now();
    mill.exact(&id).await;
    // What the other worker does in the meantime takes its time too, but far less.
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_api_is_killed_fails_and_leaves_nothing() {
    let mill = Mill::new().await;
    let (mut api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let mut line = tokio::net::TcpStream::connect(("127.0.0.1", mill.port)).await.unwrap();
    let head = format!(
        "POST /v1/uploads?kind=debts HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        mill.key,
        mill.file.len()
    );
    line.write_all(head.as_bytes()).await.unwrap();
    line.write_all(&mill.file[..mill.file.len() / 2]).await.unwrap();
    while mill.count("select count(*) from debts").await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.kill();
    let _api = mill.start_api().await;
    let id: uuid::Uuid = sqlx::query_scalar("select id from uploads").fetch_one(&mill.stack.pool).await.unwrap();
    let upload = mill.until(&id.to_string(), |upload| upload["state"] != "receiving").await;
    assert_eq!((&upload["state"], &upload["reason"]), (&Value::from("failed"), &Value::from("incomplete")));
    while mill.count("select count(*) from uploads where purged_at is null").await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(mill.count("select count(*) from debts").await, 0);
    let again = mill.send().await;
    mill.exact(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_data_in_the_middle_of_a_file() {
    let mut mill = Mill::new().await;
    let (_api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let id = mill.send().await;
    mill.half_done(&id).await;
    mill.engines.lose_redis().await.unwrap();
    mill.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarts_in_the_middle_of_a_file() {
    let mut mill = Mill::new().await;
    let (_api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let id = mill.send().await;
    mill.half_done(&id).await;
    mill.engines.kill(Engine::Postgres).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    mill.engines.restart(Engine::Postgres).await.unwrap();
    mill.exact(&id).await;
}
