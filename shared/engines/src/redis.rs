//! A private Redis that writes down what it holds and never evicts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::{Doing, EngineError};
use super::folder;
use super::guard::{Guard, Program};

const START_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) struct Redis {
    guard: Guard,
    bin: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    durable: bool,
}

pub(super) fn pidfile(data_dir: &Path) -> PathBuf {
    data_dir.join("redis/redis.pid")
}

impl Redis {
    pub(super) async fn start(
        data_dir: &Path,
        bin: PathBuf,
        port: u16,
        password: String,
        durable: bool,
    ) -> Result<Self, EngineError> {
        let folder = data_dir.join("redis");
        folder::make(&folder, 0o700)?;
        folder::leftover_gone(&pidfile(data_dir), "redis").await?;
        let log = data_dir.join("redis.log");
        let guard = guard(&bin, &folder, &log, port, &password, durable)?;
        let mut redis = Self { guard, bin, folder, log, port, password, durable };
        redis.answer().await?;
        Ok(redis)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.password, self.port)
    }

    async fn answer(&mut self) -> Result<(), EngineError> {
        let client = redis::Client::open(self.url()).expect("the URL is of our making");
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            match ping(&client).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::trace!(%error, "waiting for the private Redis"),
            }
            if self.exited() {
                let (log, last_words) = (self.log.clone(), self.guard.last_words());
                return Err(EngineError::Died { engine: "redis-server", log, last_words });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(EngineError::Silent { engine: "redis-server", log: self.log.clone() })
    }

    /// Starts again on the same port, with the data of before.
    pub(super) async fn restart(&mut self) -> Result<(), EngineError> {
        self.stop().await?;
        self.guard = guard(&self.bin, &self.folder, &self.log, self.port, &self.password, self.durable)?;
        self.answer().await
    }

    /// Forgets everything. Only for a server that does not run.
    pub(super) fn wipe(&self) -> Result<(), EngineError> {
        let data = self.folder.join("appendonlydir");
        match std::fs::remove_dir_all(&data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
        .and_then(|()| match std::fs::remove_file(self.folder.join("appendonly.aof")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .doing("wipe the data of Redis")
    }

    pub(super) async fn stop(&mut self) -> Result<bool, EngineError> {
        self.guard.stop().await.doing("stop redis-server")
    }

    pub(super) async fn kill(&mut self) -> Result<(), EngineError> {
        if let Some(pid) = folder::living(&self.folder.join("redis.pid"), "redis") {
            folder::kill(pid).doing("kill redis-server")?;
        }
        self.guard.ended(Duration::from_secs(10)).await.doing("kill redis-server").map(drop)
    }

    pub(super) fn exited(&mut self) -> bool {
        !matches!(self.guard.exited(), Ok(None))
    }
}

async fn ping(client: &redis::Client) -> redis::RedisResult<()> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async(&mut connection).await
}

fn guard(
    bin: &Path,
    folder: &Path,
    log: &Path,
    port: u16,
    password: &str,
    durable: bool,
) -> Result<Guard, EngineError> {
    // by a file: a command line can be read by everybody on the machine
    let config = folder.join("redis.conf");
    // a temporary folder does not outlive the process: what the kernel has is enough, and a slow disk stalls no write
    let fsync = if durable { "everysec" } else { "no" };
    // Of leases there are some hundred, of which each claim asks for some by their names: a list would be walked through for
    // each. (Redis 7 has another name for these settings, and knows this one.)
    let text = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\nprotected-mode yes\ndaemonize no\nsupervised no\n\
         dir {}\npidfile {}\nlogfile \"\"\nappendonly yes\nappendfsync {fsync}\nsave \"\"\nmaxmemory-policy noeviction\n\
         zset-max-ziplist-entries 0\nhash-max-ziplist-entries 0\n",
        quoted(folder),
        quoted(&folder.join("redis.pid")),
    );
    folder::write_secret(&config, text.as_bytes()).doing("write the configuration of Redis")?;
    let program = Program {
        path: bin,
        arguments: vec![config.into()],
        owner: None,
        folder,
        log: log.to_path_buf(),
        signal: "TERM",
        grace: Duration::from_secs(30),
    };
    Guard::start(program).doing("start redis-server")
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('\\', "\\\\").replace('"', "\\\""))
}
