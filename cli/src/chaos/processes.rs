//! The roles as processes, each with proxies of its own to the engines.

use std::{
    fmt,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use gristmill_platform::engines::{Engine, Engines};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::Mutex,
};
use url::Url;

use super::{bodies::Build, proxy::Proxy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Api,
    Worker,
    Scheduler,
    /// A worker that knows the API and no more.
    Python,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Python => "python",
        }
    }
}

/// A process' own proxies to the engines.
pub(super) struct Proxies {
    postgres: Proxy,
    redis: Proxy,
    pub(super) database_url: String,
    pub(super) redis_url: String,
}

impl Proxies {
    pub(super) async fn start(engines: &Engines) -> anyhow::Result<Self> {
        let (postgres, database_url) = proxy_to(engines.database_url().expose_secret()).await?;
        let (redis, redis_url) = proxy_to(engines.redis_url().expose_secret()).await?;
        Ok(Self { postgres, redis, database_url, redis_url })
    }

    pub(super) fn to(&self, engine: Engine) -> &Proxy {
        match engine {
            Engine::Postgres => &self.postgres,
            Engine::Redis => &self.redis,
        }
    }
}

async fn proxy_to(url: &str) -> anyhow::Result<(Proxy, String)> {
    let mut url = Url::parse(url).context("the engine's URL is none")?;
    let port = url.port().context("the engine's URL has no port")?;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port))).await.context("no proxy")?;
    url.set_port(Some(proxy.addr().port())).ok().context("the engine's URL takes no port")?;
    Ok((proxy, url.into()))
}

/// What runs a worker in Python, and what that talks to.
pub(super) struct Python {
    pub(super) program: PathBuf,
    pub(super) api: String,
    /// Of an operator.
    pub(super) key: String,
}

/// The worker's program.
const WORKER: &str = include_str!("worker.py");

/// One process, and those that took its place.
pub(super) struct Member {
    pub(super) role: Role,
    number: usize,
    pub(super) proxies: Proxies,
    /// Where an API answers.
    pub(super) addr: SocketAddr,
    /// Where it tells its metrics.
    pub(super) monitor: SocketAddr,
    folder: PathBuf,
    python: Option<Python>,
    lives: AtomicU32,
    /// How often a worker was replaced by one of the other build.
    rolled: AtomicUsize,
    /// Held by whoever does something to it.
    pub(super) process: Mutex<Process>,
}

/// A living process. It goes when this is dropped.
pub(super) struct Process {
    child: Option<Child>,
    _pipe: Option<ChildStdin>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.word(), self.number)
    }
}

impl Member {
    /// `python` says how, of that role.
    pub(super) async fn new(
        role: Role,
        number: usize,
        engines: &Engines,
        python: Option<Python>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            role,
            number,
            proxies: Proxies::start(engines).await?,
            addr: free()?,
            monitor: free()?,
            folder: engines.data_dir().to_path_buf(),
            python,
            lives: AtomicU32::new(0),
            rolled: AtomicUsize::new(0),
            process: Mutex::new(Process { child: None, _pipe: None }),
        })
    }

    /// How the process that lives now calls itself.
    pub(super) fn label(&self) -> String {
        format!("{self}.{}", self.lives.load(Ordering::Relaxed))
    }

    /// Of a worker: every other one of each, so that two of them know all jobs.
    fn build(&self) -> Build {
        let rolled = self.rolled.load(Ordering::Relaxed);
        if (self.number + rolled).is_multiple_of(2) { Build::Yesterday } else { Build::Today }
    }

    /// Stops it in good order, and starts one of the other build.
    pub(super) async fn replace(&self, process: &mut Process) -> anyhow::Result<()> {
        if tokio::time::timeout(STOPS_WITHIN, process.stop()).await.is_err() {
            process.kill().await;
        }
        self.rolled.fetch_add(1, Ordering::Relaxed);
        self.start(process)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(format!("{self}.log"))
    }

    pub(super) fn start(&self, process: &mut Process) -> anyhow::Result<()> {
        self.lives.fetch_add(1, Ordering::Relaxed);
        let log = File::options().create(true).append(true).open(self.log()).context("the log cannot be written")?;
        let mut command = match &self.python {
            None => Command::new(std::env::current_exe().context("cannot find my own program")?),
            Some(python) => Command::new(&python.program),
        };
        for (name, _) in gristmill_platform::config::set_by_environment() {
            command.env_remove(name);
        }
        match &self.python {
            None => command.args(["chaos-role", self.role.word()]),
            Some(python) => command
                .args(["-c", WORKER])
                .env("CHAOS_API", &python.api)
                .env("CHAOS_KEY", &python.key)
                .env("CHAOS_LABEL", self.label()),
        };
        command
            .env("DATABASE_URL", &self.proxies.database_url)
            .env("REDIS_URL", &self.proxies.redis_url)
            .env("GRISTMILL_STORE_URL", self.folder.join("objects"))
            .env("GRISTMILL_MONITOR_ADDR", self.monitor.to_string())
            .env("GRISTMILL_DATABASE_POOL", "8")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        match self.role {
            // small chunks: a small file has some
            Role::Api => command.env("GRISTMILL_ADDR", self.addr.to_string()).env("GRISTMILL_CHUNK_BYTES", "16KiB"),
            Role::Worker => command
                .args(["--build", if self.build() == Build::Today { "today" } else { "yesterday" }])
                .env("GRISTMILL_WORKER_LABEL", self.label())
                .env("GRISTMILL_WORKER_CONCURRENCY", "2"),
            Role::Scheduler => command.env("GRISTMILL_AUDIT_EVERY", "2s"),
            Role::Python => &mut command,
        };
        let mut child = command.spawn().with_context(|| format!("{self} does not start"))?;
        *process = Process { _pipe: child.stdin.take(), child: Some(child) };
        Ok(())
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|pid| Pid::from_raw(pid.cast_signed()));
        // one that is dead already has what it needs
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
    }

    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        self.child.as_mut()?.wait().await.ok()
    }

    /// How it ended, when it has and nobody killed it.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }
}

/// What a worker's grace period is, and the time to give back what it runs.
const STOPS_WITHIN: Duration = Duration::from_secs(40);

/// Below the range that outgoing connections take theirs from, so that an API finds its port again.
fn free() -> anyhow::Result<SocketAddr> {
    let tries = (0..200).map(|_| SocketAddr::from(([127, 0, 0, 1], rand::random_range(12_000..20_000))));
    let mut free = tries.filter(|addr| TcpListener::bind(addr).is_ok());
    free.next().context("no port of 200 tried is free")
}
