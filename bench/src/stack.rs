//! `gristmill up` as a child, on private engines, and how to reach and reset it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use sqlx::PgPool;

/// `up.json`.
#[derive(Deserialize)]
struct Up {
    api: String,
    database_url: String,
    redis_url: String,
}

/// A further database of a stack's engines.
#[derive(Clone, Copy)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    /// The database of Redis that it uses.
    pub(crate) redis: u8,
    /// Postgres is reached by TCP, not by its socket.
    pub(crate) tcp: bool,
}

impl Beside {
    pub(crate) const TCP: Self = Self { name: "by_tcp", redis: 1, tcp: true };
    pub(crate) const SOCKET: Self = Self { name: "by_socket", redis: 2, tcp: false };
    pub(crate) const HISTORY: Self = Self { name: "history", redis: 3, tcp: false };
}

pub(crate) struct Stack {
    child: Child,
    /// Whose descendants are its processes: itself, and the one that its engines belong to.
    pub(crate) roots: Vec<u32>,
    /// Shared by all requests, as by a client that keeps its connections.
    pub(crate) http: reqwest::Client,
    pub(crate) api: String,
    pub(crate) key: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    pub(crate) pool: PgPool,
}

impl Stack {
    /// Starts it with two workers on a fresh data folder, with private engines.
    pub(crate) async fn start(binary: &Path, data: &Path) -> anyhow::Result<Self> {
        Self::launch(binary, data, Command::new(binary)).await
    }

    /// The same on a new database of this stack's engines.
    pub(crate) async fn beside(&self, binary: &Path, data: &Path, beside: Beside) -> anyhow::Result<Self> {
        let name = beside.name;
        for statement in [format!("drop database if exists {name} with (force)"), format!("create database {name}")] {
            sqlx::raw_sql(&statement).execute(&self.pool).await?;
        }
        let (database, socket) = self.database_url.split_once("&host=").context("this Postgres has no socket")?;
        let database = database.replace("/gristmill?", &format!("/{name}?"));
        let database = if beside.tcp { database } else { format!("{database}&host={socket}") };
        let mut command = Command::new(binary);
        command.env("DATABASE_URL", database);
        command.env("REDIS_URL", format!("{}/{}", self.redis_url.trim_end_matches("/0"), beside.redis));
        let mut stack = Self::launch(binary, &data.join(name), command).await?;
        stack.roots.push(self.pid());
        Ok(stack)
    }

    async fn launch(binary: &Path, data: &Path, mut command: Command) -> anyhow::Result<Self> {
        let child = command
            .args(["up", "--fresh", "--addr", "127.0.0.1:0", "--workers", "2", "--data-dir"])
            .arg(data)
            // nothing by the clock: what is measured is begun by the measurement
            .env("GRISTMILL_BILLING_SCHEDULE", "off")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start: cargo build --release -p gristmill-cli", binary.display()))?;
        let file: PathBuf = data.join("up.json");
        let since = Instant::now();
        let up: Up = loop {
            if let Ok(text) = std::fs::read_to_string(&file)
                && let Ok(up) = serde_json::from_str(&text)
            {
                break up;
            }
            if since.elapsed() > Duration::from_secs(60) {
                bail!("`gristmill up` was not ready within a minute");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Ok(Self {
            roots: vec![child.id()],
            child,
            http: reqwest::Client::new(),
            key: std::fs::read_to_string(data.join("dev.key"))?.trim().to_owned(),
            pool: PgPool::connect(&up.database_url).await?,
            api: up.api,
            database_url: up.database_url,
            redis_url: up.redis_url,
        })
    }

    /// Its process: the API, the scheduler and the monitor run in it.
    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Empties the tables, as if nothing had ever been uploaded; the checkpoint keeps one run's dirty pages out of the next.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        sqlx::raw_sql("select drop_segment(id) from row_segments where upload_id is not null")
            .execute(&self.pool)
            .await?;
        sqlx::raw_sql("truncate debts, rejects, chunks, upload_progress, upload_waits, uploads, jobs, groups, bills, billing_runs cascade")
            .execute(&self.pool)
            .await?;
        self.checkpoint().await
    }

    /// So that one measurement does not write what another one has left.
    pub(crate) async fn checkpoint(&self) -> anyhow::Result<()> {
        sqlx::raw_sql("checkpoint").execute(&self.pool).await?;
        Ok(())
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.pool.close().await;
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        }
    }
}
