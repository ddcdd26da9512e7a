//! The worker processes: started, started again when they die, stopped at the end.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gristmill_platform::config::{self, WorkerConfig};
use gristmill_platform::private;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::engines::Sources;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Who ends sooner, and this many times, has not been killed: it cannot work.
const EARLY_EXIT: Duration = Duration::from_secs(5);
const TOO_OFTEN: u32 = 2;
const MAX_PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Workers(JoinSet<()>);

impl Workers {
    pub(super) fn start(number: usize, sources: &Sources, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let grace = config::read::<WorkerConfig>(super::NO_FLAGS)?.worker_grace + Duration::from_secs(5);
        let mut all = JoinSet::new();
        for number in 1..=number {
            let worker = Worker {
                program: std::env::current_exe().context("cannot find my own program")?,
                environment: sources.environment(),
                label: format!("worker-{number}"),
                log: sources.data_dir.join("gristmill.log"),
                grace,
            };
            all.spawn(worker.keep(shutdown.clone()));
        }
        Ok(Self(all))
    }

    /// Waits until all have ended, which they do after the shutdown.
    pub(super) async fn stopped(self) {
        self.0.join_all().await;
    }
}

struct Worker {
    program: PathBuf,
    environment: Vec<(String, String)>,
    label: String,
    log: PathBuf,
    grace: Duration,
}

impl Worker {
    async fn keep(self, shutdown: CancellationToken) {
        let (mut pause, mut too_soon) = (FIRST_PAUSE, 0);
        while !shutdown.is_cancelled() {
            let begin = Instant::now();
            match self.spawn() {
                Ok(mut child) => {
                    // tokio's `wait` closes the pipe first, which would mean that we are dead
                    let pipe = child.stdin.take();
                    tokio::select! {
                        status = child.wait() => tracing::warn!(worker = self.label, ?status, "a worker died; starting another one"),
                        () = shutdown.cancelled() => return self.stop(child, pipe).await,
                    }
                }
                Err(error) => {
                    tracing::error!(worker = self.label, error = format!("{error:#}"), "a worker does not start")
                }
            }
            too_soon = if begin.elapsed() < EARLY_EXIT { too_soon + 1 } else { 0 };
            if too_soon == TOO_OFTEN {
                super::summary::worker_does_not_stay(&self.label, &self.log);
            }
            pause = if begin.elapsed() > Duration::from_secs(30) { FIRST_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .mode(private::FILE)
            .open(&self.log)
            .context("the log cannot be written")?;
        let mut command = Command::new(&self.program);
        command.args(["worker", "--exit-with-parent", "--monitor-addr=127.0.0.1:0", "--worker-label", &self.label]);
        // by the environment: a command line can be read by everybody on the machine
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // the pipe is what tells it that we died; a Ctrl-C in the terminal is for us
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).process_group(0);
        command.spawn().context("cannot start `gristmill worker`")
    }

    async fn stop(&self, mut child: Child, pipe: Option<ChildStdin>) {
        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(self.grace, child.wait()).await.is_err() {
            tracing::warn!(worker = self.label, "the worker does not stop: killed; its jobs are done by another one");
            let _ = child.kill().await;
        }
        drop(pipe);
    }
}
