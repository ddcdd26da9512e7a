//! What each broker keeps of the queue's promises, and apalis-redis beside them: the same scenarios, with worker processes that are
//! killed and engines that lose their data. Writes the table of `docs/internals/brokers.md`.
//!
//! `cargo run --release --package gristmill-bench --bin gristmill-brokers -- --write docs/internals/brokers.md`

mod page;
mod scenarios;
mod subject;
mod worker;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gristmill_engines::Engines;

use crate::subject::{Kind, Place, Subject};

#[derive(Parser)]
struct Args {
    /// The page whose table is written anew.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Only scenarios with this in their name.
    #[arg(long)]
    only: Option<String>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Not for people: a worker process of a scenario.
    #[command(hide = true)]
    Worker(Place),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(Role::Worker(place)) = args.role {
        worker::run(&place).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for (name, run) in scenarios::all() {
        if args.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let mut outcomes = Vec::new();
        for kind in [Kind::Redis, Kind::Postgres, Kind::ApalisRedis] {
            // Engines of its own each time: what is killed or lost harms no other scenario.
            let data = tempfile::tempdir_in(folder.path())?;
            let engines = Engines::start(data.path()).await?;
            let mut subject = Subject::new(kind, engines, data.path()).await?;
            let outcome = run(&mut subject).await.with_context(|| format!("{name}, on {kind:?}"))?;
            eprintln!("{name}, {kind:?}: {outcome}");
            outcomes.push(outcome);
            subject.end().await?;
        }
        rows.push((name, outcomes));
    }
    let table = page::table(&rows);
    println!("{table}");
    if let Some(path) = args.write {
        page::write(&path, &table)?;
    }
    Ok(ExitCode::SUCCESS)
}
