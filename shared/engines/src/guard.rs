//! Children that stop when their parent does, by whatever it dies: see `guard.sh`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::owner::Owner;
use super::script;
use crate::private;

/// A program and how to run it.
pub(super) struct Program<'a> {
    pub(super) path: &'a Path,
    pub(super) arguments: Vec<OsString>,
    /// The user it runs as, when not ours.
    pub(super) owner: Option<&'a Owner>,
    /// The folder it runs in.
    pub(super) folder: &'a Path,
    /// Where its output goes.
    pub(super) log: PathBuf,
    /// The signal that stops it.
    pub(super) signal: &'static str,
    /// How long it may take to stop before it is killed.
    pub(super) grace: Duration,
}

/// A running program with its guard. Dropped, it is told to stop.
pub(super) struct Guard {
    child: Option<Child>,
    // the pipe whose end stops the program
    pipe: Option<ChildStdin>,
    grace: Duration,
    pub(super) log: PathBuf,
}

impl Guard {
    pub(super) fn start(program: Program<'_>) -> io::Result<Self> {
        let log = File::options().create(true).append(true).mode(private::FILE).open(&program.log)?;
        let tenths = (program.grace.as_millis() / 100).to_string();
        let mut command = script::command("gristmill-guard", include_str!("guard.sh"));
        command.args([program.signal, &tenths]);
        command.arg(program.path).args(program.arguments).current_dir(program.folder);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        // a Ctrl-C in the terminal is for us: the engines stop when the roles have drained
        command.process_group(0);
        if let Some(owner) = program.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        let mut guard = command.spawn()?;
        let pipe = guard.stdin.take();
        Ok(Self { child: Some(guard), pipe, grace: program.grace, log: program.log })
    }

    /// How the program ended, if it did.
    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Waits for the end of a program that was told to stop by other means.
    pub(super) async fn ended(&mut self, patience: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + patience;
        while self.exited()?.is_none() {
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(true)
    }

    /// Tells the program to stop and waits until it has.
    pub(super) async fn stop(&mut self) -> io::Result<bool> {
        self.pipe = None;
        self.ended(self.grace + Duration::from_secs(5)).await
    }

    /// The last lines of the program's log.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe = None;
        if let Some(mut child) = self.child.take() {
            // reap it, so that it does not stay a zombie for as long as we live
            std::thread::spawn(move || child.wait());
        }
    }
}
