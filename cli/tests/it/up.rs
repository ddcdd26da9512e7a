//! `gristmill up`: started, joined, stopped, killed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    gristmill,
    stack::{Stack, text},
    stderr, stdout,
};

const MINUTE: Duration = Duration::from_secs(60);

struct Up {
    folder: tempfile::TempDir,
    child: Child,
}

impl Up {
    fn start(folder: tempfile::TempDir, args: &[&str]) -> Self {
        Self::start_by(folder, args, None)
    }

    /// By a script of the shell, when one is given: `$0` is the program.
    fn start_by(folder: tempfile::TempDir, args: &[&str], script: Option<&Path>) -> Self {
        let log = fs::File::create(folder.path().join("up.log")).unwrap();
        let mut command = gristmill(folder.path());
        if let Some(script) = script {
            let program = command.get_program().to_owned();
            let env: Vec<_> =
                command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
            command = Command::new("sh");
            command.arg("-c").arg(fs::read_to_string(script).unwrap()).arg(program).current_dir(folder.path());
            for (name, value) in env {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        }
        command.args(["up", "--addr", "127.0.0.1:0", "--exit-with-parent"]).args(args);
        let child = command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut up = Self { folder, child };
        let told = up.data("up.json");
        let ready = within(Duration::from_secs(90), || told.exists() || up.child.try_wait().unwrap().is_some());
        assert!(ready && told.exists(), "`up` does not start:\n{}", up.log());
        up
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(".gristmill").join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("up.log")).unwrap_or_default()
    }

    fn told(&self) -> Value {
        serde_json::from_slice(&fs::read(self.data("up.json")).unwrap()).unwrap()
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        gristmill(self.folder.path()).args(args).output().unwrap()
    }

    /// The processes that belong to it: its workers and the engines.
    fn others(&self) -> Vec<u32> {
        let mut pids = workers(self.child.id());
        let first = |path: PathBuf| fs::read_to_string(path).ok()?.lines().next()?.trim().parse::<u32>().ok();
        pids.extend(first(self.data("postgres/data/postmaster.pid")));
        pids.extend(first(self.data("redis/redis.pid")));
        pids
    }

    /// Two workers and the engines, as soon as they are there: what it tells is written before its workers are.
    fn all_others(&self) -> Vec<u32> {
        let mut others = Vec::new();
        let there = within(MINUTE, || {
            others = self.others();
            others.len() == 4
        });
        assert!(there, "{others:?}");
        others
    }

    fn signal(&self, signal: &str) {
        kill(signal, self.child.id());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill("TERM", self.child.id());
            let _ = self.child.wait();
        }
    }
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

fn workers(parent: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,args="]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (pid, ppid): (u32, u32) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (ppid == parent && words.any(|word| word == "worker")).then_some(pid)
    });
    ours.collect()
}

fn alive(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

fn within(timeout: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if happened() {
            return true;
        }
        if begin.elapsed() > timeout {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What is in a folder and others may read, write or enter, each with its mode.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if (meta.is_dir() || meta.is_file()) && meta.permissions().mode() & 0o077 != 0 {
            found.push(format!("{:o} {}", meta.permissions().mode() & 0o777, path.display()));
        }
        if meta.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

#[test]
fn nobody_else_reads_what_it_keeps() {
    // Whatever the umask of whoever starts it.
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("free.sh");
    fs::write(&name, "umask 000; exec \"$0\" \"$@\"").unwrap();
    let up = Up::start_by(folder, &["--workers", "1"], Some(&name));
    let file = up.folder.path().join("debts.csv");
    let generated = up.run(&["generate", "debts", "--rows", "200", "-o", file.to_str().unwrap()]);
    assert!(generated.status.success(), "{}", stderr(&generated));
    let sent = up.run(&["upload", file.to_str().unwrap(), "--kind", "debts"]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let billed = up.run(&["bill-run"]);
    assert!(billed.status.success(), "{}", stderr(&billed));
    assert!(within(MINUTE, || up.data("objects/mail").exists()), "a mail is kept");
    assert_eq!(open_to_others(&up.data("")), Vec::<String>::new());
    let passes = if rustix::process::geteuid().is_root() { 0o710 } else { 0o700 };
    assert_eq!(mode(&up.data("")), passes);
    let doctor = up.run(&["doctor"]);
    assert!(stdout(&doctor).contains("only its user can read"), "{}", stdout(&doctor));
}

#[test]
fn it_tells_where_it_is_and_leaves_nothing_behind() {
    let mut up = Up::start(tempfile::tempdir().unwrap(), &["--workers", "2"]);
    let told = up.told();
    let keys: Vec<_> = told.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["api", "database_url", "env", "monitor", "redis_url"]);
    assert_eq!((mode(&up.data("up.json")), mode(&up.data("dev.key"))), (0o600, 0o600));
    assert!(up.log().contains("Gristmill is up.") && up.log().contains(told["api"].as_str().unwrap()), "{}", up.log());
    let store = told["env"]["GRISTMILL_STORE_URL"].as_str().unwrap();
    assert!(Path::new(store).is_absolute(), "{store}");

    // the key is found and works
    let list = up.run(&["uploads", "--json"]);
    assert!(list.status.success(), "{}", stderr(&list));
    // the engines are found too, and they are well
    let doctor = up.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", stdout(&doctor));
    let made = up.run(&["keys", "create", "--client", "acme"]);
    assert!(stdout(&made).starts_with("gm_") && stderr(&made).contains("not shown again"), "{made:?}");
    let listed = up.run(&["keys", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["client"], "acme");
    assert!(up.run(&["keys", "revoke", listed[0]["prefix"].as_str().unwrap()]).status.success());
    assert!(!up.run(&["keys", "revoke", "gm_none"]).status.success());

    // a second one on the same folder
    let second = up.run(&["up"]);
    assert_eq!(second.status.code(), Some(1));
    let said = stderr(&second);
    assert!(said.contains(&format!("in use by another `gristmill up`, process {}", up.child.id())), "{said}");

    let others = up.all_others();
    up.signal("TERM");
    assert!(up.child.wait().unwrap().success(), "{}", up.log());
    assert!(!up.data("up.json").exists());
    assert!(others.iter().all(|pid| !alive(*pid)), "something of {others:?} still runs");
}

#[test]
fn it_comes_back_with_its_data_and_begins_anew_when_asked() {
    let mut up = Up::start(tempfile::tempdir().unwrap(), &["--workers", "0"]);
    let (url, key) = (up.told()["database_url"].clone(), fs::read_to_string(up.data("dev.key")).unwrap());
    assert!(workers(up.child.id()).is_empty());
    up.signal("INT");
    assert!(up.child.wait().unwrap().success());

    let folder = std::mem::replace(&mut up.folder, tempfile::tempdir().unwrap());
    let mut up = Up::start(folder, &["--workers", "0"]);
    assert_eq!(
        (up.told()["database_url"].clone(), fs::read_to_string(up.data("dev.key")).unwrap()),
        (url.clone(), key.clone())
    );
    up.signal("TERM");
    assert!(up.child.wait().unwrap().success());

    let folder = std::mem::replace(&mut up.folder, tempfile::tempdir().unwrap());
    let up = Up::start(folder, &["--workers", "0", "--fresh"]);
    assert_ne!(up.told()["database_url"], url);
    assert_ne!(fs::read_to_string(up.data("dev.key")).unwrap(), key);
}

#[test]
fn a_dead_worker_or_engine_is_replaced() {
    let up = Up::start(tempfile::tempdir().unwrap(), &["--workers", "1"]);
    assert!(within(MINUTE, || workers(up.child.id()).len() == 1), "no worker");
    let first = workers(up.child.id());
    kill("KILL", first[0]);
    let replaced = || workers(up.child.id()).first().is_some_and(|pid| *pid != first[0]);
    assert!(within(MINUTE, replaced), "no new worker");

    let redis: u32 = fs::read_to_string(up.data("redis/redis.pid")).unwrap().trim().parse().unwrap();
    kill("KILL", redis);
    let back = || {
        fs::read_to_string(up.data("redis/redis.pid")).is_ok_and(|pid| pid.trim() != redis.to_string())
            && up.run(&["doctor"]).status.success()
    };
    assert!(within(MINUTE, back), "no new Redis");
}

#[test]
fn killed_it_takes_everything_with_it() {
    let mut up = Up::start(tempfile::tempdir().unwrap(), &["--workers", "2"]);
    let others = up.all_others();
    up.signal("KILL");
    up.child.wait().unwrap();
    assert!(within(MINUTE, || others.iter().all(|pid| !alive(*pid))), "something of {others:?} still runs");
    // and the next one starts on what it left
    let folder = std::mem::replace(&mut up.folder, tempfile::tempdir().unwrap());
    fs::remove_file(folder.path().join(".gristmill/up.json")).unwrap();
    Up::start(folder, &["--workers", "0"]);
}

/// So compose files and unit files leave a setting out.
#[test]
fn a_variable_that_is_empty_is_not_set() {
    let empty = ["GRISTMILL_SMTP_URL", "GRISTMILL_MAX_COLUMNS", "GRISTMILL_LOG", "GRISTMILL_OUTBOUND_PORTS"];
    let stack = Stack::start_with(&empty.map(|name| (name, "")));
    let file = stack.debts("few.csv", 10, "0", "0", 1);
    let sent = stack.run(&["upload", text(&file)]);
    assert!(sent.status.success(), "{}", stderr(&sent));
}

#[test]
fn workers_that_cannot_work_are_told_in_the_terminal() {
    let stack = Stack::start_with(&[("GRISTMILL_SMTP_URL", "mail.example.com:25")]);
    let said = || fs::read_to_string(stack.folder.path().join("up.log")).unwrap();
    let told = || said().contains("worker-1 ends as soon as it starts") && said().contains("setting up mail");
    assert!(within(Duration::from_secs(90), told), "{}", said());
}
