//! A record that kills each worker process that reads it. Somebody starts the workers again, as `gristmill up` does.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use gristmill_pipelines::generate::{self, Options};

use crate::harness::Harness;

const POISON: &str = "Lucrezia Borgia";

/// A worker that is started again whenever it dies.
struct Supervised {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Supervised {
    fn start(mut command: Command) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut deaths = 0;
            loop {
                let mut worker = command.spawn().unwrap();
                while worker.try_wait().unwrap().is_none() {
                    if stopped.load(Ordering::Relaxed) {
                        worker.kill().unwrap();
                        worker.wait().unwrap();
                        return deaths;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                deaths += 1;
            }
        });
        Self { stop, thread }
    }

    /// How often it died before it was told to.
    fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn file(seed: u64, rows: u64) -> String {
    let mut file = Vec::new();
    generate::debts(&Options { rows, bad: 0.0, duplicates: 0.0, seed, ..Options::default() }, &mut file).unwrap();
    String::from_utf8(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_kills_its_workers_is_found_and_everything_else_goes_through() {
    let harness = Harness::with(1).await;
    let (_api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let worker = || {
        let mut command = harness.command("worker");
        command.env("GRISTMILL_TEST_POISON", POISON);
        command.env("GRISTMILL_LEASE", "1500ms").env("GRISTMILL_MAX_DELIVERIES", "2");
        Supervised::start(command)
    };
    let workers = [worker(), worker()];

    let (rows, line) = (2_000, 1_234);
    let clean = file(1, rows);
    let mut lines: Vec<&str> = clean.lines().collect();
    let (_, rest) = lines[line - 1].split_once(',').unwrap();
    let poisonous = format!("{POISON},{rest}");
    lines[line - 1] = &poisonous;
    let poisoned = harness.send_file(lines.join("\n").into()).await;
    let other = harness.send_file(file(2, rows).into()).await;

    let upload = harness.until(&poisoned, |upload| upload["state"] != "processing").await;
    let expected = serde_json::json!({ "read": rows, "accepted": rows - 1, "rejected": 1, "duplicate": 0 });
    assert_eq!((&upload["state"], &upload["rows"]), (&"completed".into(), &expected), "{upload}");
    let upload = harness.until(&other, |upload| upload["state"] != "processing").await;
    let expected = serde_json::json!({ "read": rows, "accepted": rows, "rejected": 0, "duplicate": 0 });
    assert_eq!((&upload["state"], &upload["rows"]), (&"completed".into(), &expected), "{upload}");

    let rejects: Vec<(i64, String, Vec<u8>)> =
        sqlx::query_as("select line, code, raw from rejects").fetch_all(&harness.stack.pool).await.unwrap();
    assert_eq!(rejects, [(line.try_into().unwrap(), "poison".to_owned(), poisonous.into_bytes())]);
    assert_eq!(harness.count("select count(*) from debts").await, (2 * rows - 1).cast_signed());
    assert_eq!(harness.count("select count(*) from gristmill.jobs where state = 'dead'").await, 0);
    assert_eq!(harness.count("select count(*) from chunk_parts").await, 0);
    let deaths: u32 = workers.into_iter().map(Supervised::stop).sum();
    // Twice as the job of its chunk, once as a part that is the whole chunk, once a halving, and once more alone.
    assert!((4..=2 * rows.ilog2()).contains(&deaths), "{deaths} workers died");
}
