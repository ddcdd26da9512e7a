//! A whole Gristmill as a child process, shared by the tests that run at the same time.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{gristmill, stdout};

/// `gristmill up` on a folder of its own; stopped with the last test that holds it.
pub(crate) struct Stack {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) api: String,
    child: std::process::Child,
}

static RUNNING: Mutex<Weak<Stack>> = Mutex::new(Weak::new());

pub(crate) fn stack() -> Arc<Stack> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let stack = Arc::new(Stack::start());
        *running = Arc::downgrade(&stack);
        stack
    })
}

impl Stack {
    /// One that no other test has.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("up.log")).unwrap();
        // Small chunks: a small file has many, so that there is progress to be seen.
        let mut up = gristmill(folder.path());
        up.args(["up", "--workers", "1", "--addr", "127.0.0.1:0"]).env("GRISTMILL_CHUNK_BYTES", "256KiB");
        up.envs(env.iter().copied());
        let mut child = up.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let told = folder.path().join(".gristmill/up.json");
        let started = Instant::now();
        let api = loop {
            let up = std::fs::read(&told).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            if let Some(api) = up.and_then(|up| up["api"].as_str().map(str::to_owned)) {
                break api;
            }
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(folder.path().join("up.log")).unwrap_or_default();
            assert!(ended.is_none() && started.elapsed() < Duration::from_secs(90), "`up` does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        };
        Self { folder, api, child }
    }

    /// Runs a subcommand in the stack's folder, where it finds the API and its key by itself.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        gristmill(self.folder.path()).args(args).output().unwrap()
    }

    /// The same, with a text on its standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Output {
        let mut command = gristmill(self.folder.path());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // What refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The first worker that is listed, as soon as one is.
    pub(crate) fn worker(&self) -> Value {
        let since = Instant::now();
        loop {
            let workers = self.run(&["workers", "list", "--json"]);
            assert!(workers.status.success(), "{workers:?}");
            if let Some(worker) = stdout(&workers).lines().next() {
                return serde_json::from_str(worker).unwrap();
            }
            assert!(since.elapsed() < Duration::from_secs(60), "no worker is seen");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Makes a file of debts.
    pub(crate) fn debts(&self, name: &str, rows: u32, bad: &str, duplicates: &str, seed: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        let (rows, seed) = (rows.to_string(), seed.to_string());
        let options = ["--rows", &rows, "--bad", bad, "--duplicates", duplicates, "--seed", &seed];
        let made = self.run(&[&["generate", "debts", "-o", text(&path)], &options[..]].concat());
        assert!(made.status.success(), "{made:?}");
        path
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
