//! What one would do instead, with the same file on the same Postgres and Redis: `bench/peers/files/`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::{
    client,
    figures::{Goal, median, seconds, times},
    files::Files,
    report::Report,
    stack::Stack,
    yardstick,
};

/// One of them: its name for the program, what the table calls it, how many times as long it should take as ours.
struct Peer {
    name: &'static str,
    what: &'static str,
    goal: Option<f64>,
    /// It takes minutes, so it is run once.
    slow: bool,
}

const PEERS: [Peer; 5] = [
    Peer { name: "polars", what: "Polars checks, `COPY` loads", goal: Some(2.5), slow: false },
    Peer { name: "duckdb", what: "DuckDB checks, and loads by its Postgres extension", goal: Some(2.5), slow: false },
    Peer { name: "celery-copy", what: "FastAPI + Celery, `COPY` by hand", goal: Some(4.0), slow: false },
    Peer {
        name: "celery-executemany",
        what: "FastAPI + Celery + SQLAlchemy, `executemany`, once",
        goal: Some(10.0),
        slow: true,
    },
    Peer { name: "celery-insertmanyvalues", what: "the same, `insertmanyvalues`, once", goal: None, slow: true },
];

/// What a peer says of a file.
#[derive(Debug, Deserialize)]
struct Loaded {
    seconds: f64,
    accepted: u64,
    rejected: u64,
    duplicate: u64,
}

/// A file with 1 % bad rows and 1 % duplicates, by ours and by each of them in turns; all must count the same.
pub(crate) async fn peers(stack: &Stack, files: &Files, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let file = files.dirty()?.canonicalize()?;
    let there = install()?;
    let (mut ours, mut ys) = (vec![], vec![]);
    let mut theirs: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for run_number in 0..runs {
        stack.reset().await?;
        let sent = client::send(stack, &file, false).await?;
        ours.push(sent.completed);
        ys.push(yardstick::run(stack, &files.clean()?).await?);
        let there = |peer: &&Peer| there.iter().any(|name| peer.name.starts_with(name));
        for peer in PEERS.iter().filter(there).filter(|peer| !peer.slow || run_number == 0) {
            stack.reset().await?;
            let loaded = run(stack, peer.name, &file)?;
            let (rows, counts) = (&sent.upload.rows, (loaded.accepted, loaded.rejected, loaded.duplicate));
            ensure!(counts == (rows.accepted, rows.rejected, rows.duplicate), "{} of {rows:?}: {loaded:?}", peer.name);
            eprintln!("{}: {:.2} s", peer.name, loaded.seconds);
            theirs.entry(peer.name).or_default().push(Duration::from_secs_f64(loaded.seconds));
        }
    }
    let (ours, y) = (median(ours), median(ys));
    let compared = format!("{:.2} × Y", times(ours, y));
    report.row("1 % bad rows, 1 % duplicates, in turns with those below", seconds(ours), compared, "");
    for peer in &PEERS {
        match theirs.remove(peer.name) {
            Some(taken) => {
                let took = median(taken);
                let (ratio, what) = (times(took, ours), format!("– {}", peer.what));
                match peer.goal {
                    Some(goal) => report.against(&what, seconds(took), ratio, "ours", Goal::AtLeast(goal)),
                    None => report.row(&what, seconds(took), format!("{ratio:.2} × ours"), ""),
                }
            }
            None => report.row(&format!("– {}", peer.what), "could not be installed".to_owned(), String::new(), ""),
        }
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new("bench/peers/files").to_path_buf()
}

/// Installs their packages below `target/peers`; returns the names of those that are there.
fn install() -> anyhow::Result<Vec<String>> {
    let installing = Command::new("python3").arg(folder().join("install.py")).stderr(Stdio::inherit()).output();
    // Without Python there is none of them.
    let Ok(output) = installing else { return Ok(Vec::new()) };
    ensure!(output.status.success(), "bench/peers/files/install.py failed");
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}

fn run(stack: &Stack, name: &str, file: &Path) -> anyhow::Result<Loaded> {
    let output = Command::new("target/peers/files/bin/python")
        .arg(folder().join("run.py"))
        .args([name, &stack.database_url, &stack.redis_url])
        .arg(file)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{name} failed");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name} says nothing that is known"))
}
