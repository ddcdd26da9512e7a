//! Roles as processes, on engines that a test may kill.

use std::{
    net::TcpListener,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use gristmill_pipelines::generate::{self, Counts, Options};
use gristmill_platform::{
    engines::Engines,
    testing::{self, Stack},
};
use gristmill_queue::{Queue, QueueConfig};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use crate::gristmill;

/// Roles as processes on engines of their own.
pub(crate) struct Harness {
    pub(crate) engines: Engines,
    pub(crate) stack: Stack,
    pub(crate) file: Vec<u8>,
    api: String,
    port: u16,
    key: String,
    counts: Counts,
}

/// A process that is gone when the test is.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Asks it to stop, as a deployment does, and waits for that.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.0.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.0.wait().unwrap()
    }

    pub(crate) fn kill(&mut self) {
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

/// A file that is sent so slowly that it takes half a minute, unless it is to hurry.
pub(crate) struct Sending {
    answer: JoinHandle<String>,
    hurries: Arc<AtomicBool>,
}

impl Sending {
    /// The rest of it follows at once.
    pub(crate) fn hurry(&self) {
        self.hurries.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.answer.is_finished()
    }
}

/// Below the range that outgoing connections take theirs from, so that a process finds its port again.
pub(crate) fn free_port() -> u16 {
    let mut tries = (0..200).map(|_| rand::random_range(12_000..20_000_u16));
    tries.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("no port of 200 tried is free")
}

impl Harness {
    /// With a file of many chunks.
    pub(crate) async fn new() -> Self {
        Self::with(60_000).await
    }

    /// With a file of so many records.
    pub(crate) async fn with(rows: u64) -> Self {
        // Fails when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let engines = testing::engines().await;
        let stack = testing::stack_on(&engines).await;
        let key = gristmill_platform::keys::create(&stack.pool, "acme").await.unwrap();
        let port = free_port();
        let mut file = Vec::new();
        let options = Options { rows, bad: 0.01, duplicates: 0.01, seed: 5, ..Options::default() };
        let counts = generate::debts(&options, &mut file).unwrap();
        let key = secrecy::ExposeSecret::expose_secret(&key.secret).to_owned();
        Self { engines, stack, api: format!("http://127.0.0.1:{port}"), port, key, file, counts }
    }

    pub(crate) fn start(&self, role: &str) -> Process {
        Process::of(&mut self.command(role))
    }

    pub(crate) fn command(&self, role: &str) -> Command {
        let mut command: Command = gristmill(&self.stack.dir);
        command
            .arg(role)
            .env("DATABASE_URL", &self.stack.database_url)
            .env("REDIS_URL", &self.stack.redis_url)
            .env("GRISTMILL_REDIS_NAMESPACE", &self.stack.namespace)
            .env("GRISTMILL_STORE_URL", &self.stack.store_url)
            .env("GRISTMILL_STORE_FSYNC", "false")
            .env("GRISTMILL_ADDR", format!("127.0.0.1:{}", self.port))
            .env("GRISTMILL_CHUNK_BYTES", "64KiB")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.stack.dir.join(format!("{role}.log"))).unwrap());
        command
    }

    pub(crate) async fn start_api(&self) -> Process {
        let api = self.start("api");
        let since = Instant::now();
        while reqwest::get(format!("{}/readyz", self.api)).await.is_err() {
            assert!(since.elapsed() < Duration::from_secs(90), "the API does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        api
    }

    pub(crate) async fn send(&self) -> String {
        self.send_file(self.file.clone()).await
    }

    pub(crate) async fn send_file(&self, file: Vec<u8>) -> String {
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/uploads?kind=debts", self.api))
            .bearer_auth(&self.key)
            .body(file)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
        let upload: Value = answer.json().await.unwrap();
        upload["id"].as_str().unwrap().to_owned()
    }

    /// Sends the file over a line of its own, a small piece every few milliseconds.
    pub(crate) fn send_slowly(&self) -> Sending {
        let (file, mut request) = (self.file.clone(), self.head().into_bytes());
        let port = self.port;
        let hurries = Arc::new(AtomicBool::new(false));
        let hurry = Arc::clone(&hurries);
        let answer = tokio::spawn(async move {
            let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            for piece in file.chunks(8 * 1024) {
                request.extend_from_slice(piece);
                line.write_all(&request).await.unwrap();
                request.clear();
                if !hurry.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
            }
            let mut answer = String::new();
            line.read_to_string(&mut answer).await.unwrap();
            answer
        });
        Sending { answer, hurries }
    }

    /// Sends the first half of the file and keeps the line.
    pub(crate) async fn send_half(&self) -> TcpStream {
        let mut line = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        line.write_all(self.head().as_bytes()).await.unwrap();
        line.write_all(&self.file[..self.file.len() / 2]).await.unwrap();
        line
    }

    fn head(&self) -> String {
        format!(
            "POST /v1/uploads?kind=debts HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-length: {}\r\n\r\n",
            self.key,
            self.file.len()
        )
    }

    /// Asks the database until it says yes.
    pub(crate) async fn until_true(&self, sql: &'static str) {
        let since = Instant::now();
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(&self.stack.pool).await.unwrap() {
            assert!(since.elapsed() < Duration::from_secs(90), "never: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn find(&self, id: &str) -> Option<Value> {
        let url = format!("{}/v1/uploads/{id}", self.api);
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.key).send().await.ok()?;
        if answer.status() == 200 { answer.json().await.ok() } else { None }
    }

    /// Waits until an upload is as wanted.
    pub(crate) async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            if let Some(upload) = self.find(id).await
                && wanted(&upload)
            {
                return upload;
            }
            assert!(since.elapsed() < Duration::from_secs(180), "still {:?}", self.find(id).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The queue that its processes work on.
    pub(crate) async fn queue(&self) -> Queue {
        let config = QueueConfig { namespace: self.stack.namespace.clone(), ..QueueConfig::new(&self.stack.redis_url) };
        Queue::connect(self.stack.pool.clone(), config).await.unwrap()
    }

    /// Waits until so many workers are known: by then they listen for signals.
    pub(crate) async fn until_workers(&self, number: usize) {
        let (queue, since) = (self.queue().await, Instant::now());
        while queue.workers().await.unwrap().len() < number {
            assert!(since.elapsed() < Duration::from_secs(90), "the workers do not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until some chunks of an upload are done, and others are not.
    pub(crate) async fn half_done(&self, id: &str) {
        let upload = self.until(id, |upload| upload["chunks"]["done"].as_i64().unwrap() >= 10).await;
        assert_eq!(upload["state"], "processing", "the file is too small to be caught in the middle");
    }

    /// The file is closed, its counts are exact, its rows are there, and its join fired once.
    pub(crate) async fn exact(&self, id: &str) {
        let upload = self.until(id, |upload| upload["state"] == "completed" || upload["state"] == "failed").await;
        let mut rows = serde_json::json!({
            "read": self.counts.read(), "accepted": self.counts.accepted,
            "rejected": self.counts.rejected, "duplicate": self.counts.duplicate,
        });
        if self.counts.duplicate > 0 {
            // What is generated under an earlier key is another debt.
            rows["conflicting_duplicate"] = self.counts.duplicate.into();
        }
        assert_eq!((&upload["state"], &upload["rows"]), (&Value::from("completed"), &rows), "{upload}");
        assert_eq!(self.count("select count(*) from debts").await, self.counts.accepted.cast_signed());
        // The only chunk of a small file takes it upon itself.
        let joins = "select (select count(*) from gristmill.jobs where name = 'uploads.close')
                            + (select count(*) from gristmill.groups where name = 'upload' and on_complete is null)";
        assert_eq!(self.count(joins).await, 1);
        assert_eq!(self.count("select count(*) from gristmill.jobs where state = 'dead'").await, 0);
    }

    /// The rest of a slow body follows at once, the answer to it is a 202, and its file ends exact.
    pub(crate) async fn taken(&self, sending: Sending) {
        sending.hurry();
        let answer = sending.answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
        let upload: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        self.exact(upload["id"].as_str().unwrap()).await;
    }

    /// The uploads are purged, and of none of them anything is left.
    pub(crate) async fn nothing_stays(&self) {
        self.until_true("select not exists(select from uploads where purged_at is null)").await;
        for left in ["debts", "debts_inbox", "rejects", "row_segments where upload_id is not null"] {
            let rows: i64 =
                sqlx::query_scalar(&format!("select count(*) from {left}")).fetch_one(&self.stack.pool).await.unwrap();
            assert_eq!(rows, 0, "{left}");
        }
        assert!(self.objects().await.is_empty(), "{:?}", self.objects().await);
    }

    pub(crate) async fn objects(&self) -> Vec<object_store::path::Path> {
        self.stack.store.list(None).map_ok(|object| object.location).try_collect().await.unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.stack.pool).await.unwrap()
    }
}
