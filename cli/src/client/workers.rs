//! Workers: who there is, and what they run.

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use gristmill_queue::WorkerView;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    all::All,
    api::Api,
    human::{age, bytes, short},
    server::Server,
};

/// Columns that lines are broken at.
const WIDTH: usize = 78;

/// List workers and their jobs; drain a worker (with an operator's key)
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill workers list
  gristmill workers drain 5f1c9d1e-6a0b-4c57-9d0e-0c1f7a3b2e44")]
pub(crate) struct Workers {
    #[command(subcommand)]
    what: WorkersCommand,
}

#[derive(Subcommand, Debug)]
enum WorkersCommand {
    /// List workers with a heartbeat in the last half minute, and what they run
    List(All),
    /// Drain a worker: it takes no more jobs and finishes what it runs
    Drain {
        /// The worker
        #[arg(value_parser = super::human::id)]
        id: Uuid,
        /// The answer as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: Server,
    },
}

impl Workers {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            WorkersCommand::List(all) => {
                let lines = |workers: &[Value]| {
                    workers.iter().map(|worker| Ok(worker_lines(&WorkerView::deserialize(worker)?))).collect()
                };
                all.show("v1/workers", Some("no workers: `gristmill worker` starts one"), lines).await?;
            }
            WorkersCommand::Drain { id, json, server } => {
                let path = format!("v1/workers/{id}/drain");
                let answer: Value = Api::open(server)?.change(Method::POST, &path, None).await?;
                if json {
                    println!("{answer}");
                } else {
                    println!("draining: it takes no more jobs");
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn worker_lines(worker: &WorkerView) -> String {
    let WorkerView { id, label, pid, host, .. } = worker;
    let state = match (&worker.unwell, worker.draining) {
        (Some(reason), _) => format!("unhealthy: {reason}"),
        (None, true) => "draining".to_owned(),
        (None, false) => "well".to_owned(),
    };
    let mut text = format!("{id}  {}  {}\n", short(label, 20), short(&state, 20));
    let process =
        worker.language.as_deref().map_or("process".to_owned(), |language| format!("{} process", short(language, 12)));
    let place = format!("{process} {pid} on {}", short(host.as_deref().unwrap_or("?"), 30));
    let used = [Some(place), worker.memory_bytes.map(bytes), worker.cpu.map(|cpu| format!("{cpu:.1} CPU"))];
    let _ = writeln!(text, "  {}", used.into_iter().flatten().collect::<Vec<_>>().join(", "));
    let mut rows: Vec<String> = Vec::new();
    for line in &worker.lines {
        let slots = format!("  {} {}/{}", line.queue, line.held, line.concurrency);
        match rows.last_mut() {
            Some(row) if row.chars().count() + slots.chars().count() <= WIDTH => *row += &slots,
            _ => rows.push(slots),
        }
    }
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    for job in worker.lines.iter().flat_map(|line| &line.running) {
        let name = job.name.as_deref().unwrap_or("?");
        let since = i64::try_from(job.since_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let since = since.map_or("?".to_owned(), age);
        let _ = writeln!(text, "  runs {} {} for {since}", job.id, short(name, 24));
    }
    text
}
