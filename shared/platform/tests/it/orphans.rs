//! Engines whose parent is killed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gristmill_platform::engines::Engines;

use crate::engines::{gone, open_folder, when_free};

/// The parent: this test binary once more, in the folder of the test that kills it.
#[tokio::test]
#[ignore = "run by the tests below"]
async fn the_parent() {
    let temporary = Path::new("temporary").exists();
    let start = async || if temporary { Engines::temporary().await } else { Engines::start("data").await };
    let engines = when_free(start).await.unwrap();
    std::fs::write("ready.new", engines.data_dir().to_str().unwrap()).unwrap();
    std::fs::rename("ready.new", "ready").unwrap();
    std::future::pending::<()>().await;
}

/// Starts the parent, kills it when its engines run, and says where they were.
async fn kill_a_parent(folder: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "orphans::the_parent"]).current_dir(folder);
    let mut parent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !folder.join("ready").exists() {
        assert!(parent.try_wait().unwrap().is_none(), "the parent ended by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let data = std::fs::read_to_string(folder.join("ready")).unwrap();
    assert!(
        alive(&Path::new(&data).join("redis/redis.pid"))
            && alive(&Path::new(&data).join("postgres/data/postmaster.pid"))
    );
    parent.kill().unwrap();
    parent.wait().unwrap();
    data
}

fn alive(pidfile: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(pidfile) else { return false };
    let pid = text.lines().next().and_then(|pid| rustix::process::Pid::from_raw(pid.trim().parse().ok()?));
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[tokio::test]
async fn stop_and_can_be_started_again() {
    let folder = open_folder();
    let data = kill_a_parent(folder.path()).await;
    // at once: it waits for what the dead one left behind
    let engines = Engines::start(&data).await.unwrap();
    engines.stop().await.unwrap();

    std::fs::remove_file(folder.path().join("ready")).unwrap();
    let data = kill_a_parent(folder.path()).await;
    // a clean end removes the pid files
    assert!(gone(&Path::new(&data).join("postgres/data/postmaster.pid")).await, "Postgres still runs");
    assert!(gone(&Path::new(&data).join("redis/redis.pid")).await, "Redis still runs");
}

#[tokio::test]
async fn leave_no_temporary_folder() {
    let folder = open_folder();
    std::fs::write(folder.path().join("temporary"), "").unwrap();
    let data = kill_a_parent(folder.path()).await;
    assert!(gone(Path::new(&data)).await, "{data} is still there");
}
