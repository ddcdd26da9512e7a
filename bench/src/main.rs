//! What the service costs, against what Postgres' own loader costs, in one run on the same private engines.
//!
//! `make bench` builds it in release and writes the table into `bench/README.md`.

mod client;
mod costs;
mod figures;
mod files;
mod plot;
mod process;
mod recovery;
mod report;
mod scenarios;
mod stack;
mod yardstick;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Parser;

use crate::{
    files::Files,
    report::Report,
    scenarios::history::{self, History},
    stack::{Beside, Stack},
};

/// Measure uploads end to end against `psql \copy`
#[derive(Parser, Debug)]
struct Bench {
    /// Rows of the small file
    #[arg(long, default_value_t = 1_100_000)]
    rows: u64,
    /// Runs of each measurement; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only these scenarios (clean, dirty, force, billing, undo, small, watchers, large, tcp, peers, history, normalizations, pure, jobs,
    /// backlog, pages, credits, webhooks); recovery, many and routes when named
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Millions of rows that are there already, for the scenario `history`; 50 take half an hour and 30 GB of disk
    #[arg(long, default_value_t = 10.0)]
    history: f64,
    /// Files of one client that are there already, for the scenario `many`; 1,000 take ten minutes and 30 GB of disk
    #[arg(long, default_value_t = 100)]
    files: u64,
    /// Millions of jobs that wait, for the scenario `backlog`
    #[arg(long, default_value_t = 5.0)]
    backlog: f64,
    /// The binary to measure
    #[arg(long, default_value = "target/release/gristmill")]
    binary: PathBuf,
    /// Where files and engines are kept meanwhile
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Watchers of the scenario `watchers`
    #[arg(long, default_value_t = 1_000)]
    watchers: usize,
    /// Write the table into this file, between its markers
    #[arg(long)]
    write: Option<PathBuf>,
    /// Draw how cost grows with history into this file (SVG)
    #[arg(long)]
    picture: Option<PathBuf>,
}

/// What is measured on a running system.
const ON_A_STACK: [&str; 12] = [
    "clean",
    "dirty",
    "force",
    "billing",
    "undo",
    "small",
    "watchers",
    "large",
    "tcp",
    "peers",
    "history",
    "normalizations",
];

impl Bench {
    /// What takes long, or breaks things, is not done unless it is named.
    fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bench = Bench::parse();
    let wants = |name: &str| bench.only.is_empty() || bench.names(name);
    let mut report = Report::new(bench.rows, bench.runs);
    if ON_A_STACK.iter().any(|name| wants(name)) || bench.names("recovery") || bench.names("many") {
        on_a_stack(&bench, &wants, &mut report).await?;
    }
    if wants("backlog") {
        scenarios::jobs::measure(&bench.dir.join("jobs"), bench.runs, bench.backlog, &mut report).await?;
    }
    if wants("pages") {
        scenarios::programs::pages(&mut report)?;
    }
    if wants("credits") {
        scenarios::programs::credits(&mut report)?;
    }
    if wants("webhooks") {
        scenarios::programs::webhooks(&mut report)?;
    }
    if wants("pure") {
        report.text("Splitter and parser alone", scenarios::example("gristmill-pipelines", "speed", &[])?);
    }
    if wants("jobs") {
        let throughput = |broker| scenarios::example("gristmill-queue", "throughput", &["private", broker]);
        report.text("No-op jobs through the ledger, with Redis as the broker", throughput("redis")?);
        report.text("The same with Postgres alone", throughput("postgres")?);
        report.text(
            "Through an `App` with an extractor and a layer",
            scenarios::example_with("gristmill", "app_overhead", &["--features", "testing"], &[])?,
        );
    }
    if bench.names("routes") {
        report.text(
            "A small client's requests beside a large client's rows",
            scenarios::example("gristmill-api", "routes", &[])?,
        );
    }
    println!("{report}");
    if let Some(file) = &bench.write {
        report.write(file).with_context(|| format!("the table could not be written to {}", file.display()))?;
    }
    Ok(())
}

async fn on_a_stack(bench: &Bench, wants: &dyn Fn(&str) -> bool, report: &mut Report) -> anyhow::Result<()> {
    let files = Files::new(&bench.dir, bench.rows)?;
    let stack = Stack::start(&bench.binary, &bench.dir.join("data")).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    if ["clean", "dirty", "force", "billing"].iter().any(|name| wants(name)) {
        beside_y(bench, wants, &stack, &files, report).await?;
    }
    if wants("undo") {
        history::undo(&stack, &files, bench.runs, report).await?;
    }
    if wants("small") {
        scenarios::small::small(&stack, bench.runs, report).await?;
    }
    if wants("watchers") {
        scenarios::watchers(&stack, &files, bench.watchers, report).await?;
    }
    if wants("large") {
        scenarios::large(&stack, &files, bench.runs, report).await?;
    }
    if bench.names("recovery") {
        recovery::recovery(&stack, &files, report).await?;
    }
    if wants("normalizations") {
        scenarios::requests::normalizations(&stack, bench.runs, report).await?;
    }
    if wants("peers") {
        scenarios::peers::peers(&stack, &files, bench.runs, report).await?;
    }
    if wants("tcp") {
        let tcp = stack.beside(&bench.binary, &bench.dir, Beside::TCP).await?;
        let socket = stack.beside(&bench.binary, &bench.dir, Beside::SOCKET).await?;
        scenarios::tcp(&tcp, &socket, &files, bench.runs, report).await?;
        tcp.stop().await?;
        socket.stop().await?;
    }
    if wants("history") {
        let behind = stack.beside(&bench.binary, &bench.dir, Beside::HISTORY).await?;
        let history =
            History { empty: &stack, behind: &behind, files: &files, runs: bench.runs, millions: bench.history };
        history.measure(report, bench.picture.as_deref()).await?;
        behind.stop().await?;
    }
    if bench.names("many") {
        let behind = stack.beside(&bench.binary, &bench.dir, Beside::HISTORY).await?;
        scenarios::many::many((&stack, &behind), &files, (bench.files, bench.runs), report).await?;
        behind.stop().await?;
    }
    stack.stop().await
}

/// What is compared with the yardstick on an empty system.
async fn beside_y(
    bench: &Bench,
    wants: &dyn Fn(&str) -> bool,
    stack: &Stack,
    files: &Files,
    report: &mut Report,
) -> anyhow::Result<()> {
    let y = scenarios::clean(stack, files, bench.runs, wants("clean"), report).await?;
    if wants("dirty") {
        scenarios::dirty(stack, files, bench.runs, y, report).await?;
    }
    if wants("force") {
        scenarios::force(stack, files, bench.runs, y, report).await?;
    }
    if wants("billing") {
        scenarios::billing(stack, files, bench.runs, y, report).await?;
    }
    Ok(())
}
