//! The whole system as processes, hurt at random while it works. Then it is left alone, and everything is counted.

mod bodies;
mod check;
mod cluster;
mod inject;
mod plan;
mod processes;
mod proxy;
mod quiesce;
mod recovery;
mod report;
mod role;
mod workload;

pub(crate) use role::ChaosRole;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use self::{check::Finding, cluster::Cluster, report::Report, workload::Workload};
use gristmill_service::shutdown;

/// Kill, stop and cut off processes and private engines at random while they work, and check that nothing is lost or
/// done twice
#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// How long to go on
    #[arg(long, value_name = "M", default_value_t = 3, conflicts_with = "seconds")]
    minutes: u64,

    /// The same in seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,

    /// What is done to whom and when follows from it [default: random]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 3)]
    workers: usize,

    /// Two workers in Python beside the others, run by this program: a Python in which the package `gristmill` and psycopg are
    /// installed
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,

    /// Where the report goes, as Markdown, beside standard output
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Where data and logs are kept; a folder of its own in the temporary one, gone unless a check fails, when not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Chaos {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let shutdown = shutdown::on_signal()?;
        let seed = self.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
        let length = Duration::from_secs(self.seconds.unwrap_or(self.minutes * 60));
        let temporary = || std::env::temp_dir().join(format!("gristmill-chaos-{}", std::process::id()));
        let folder = self.data_dir.clone().unwrap_or_else(temporary);
        eprintln!("seed {seed}; data and logs in {}", folder.display());

        let cluster = Cluster::set(&folder, self.workers.max(1), self.python.as_deref()).await?;
        let outcome = tokio::select! {
            report = perform(&cluster, seed, length, self.workers.max(1)) => report,
            () = shutdown.cancelled() => Err(anyhow::anyhow!("stopped before the end")),
        };
        let keep = self.data_dir.is_some() || !outcome.as_ref().is_ok_and(Report::passed);
        cluster.tear_down(keep).await?;
        let report = outcome?;
        print!("{report}");
        if let Some(path) = &self.report {
            write(path, &report)?;
        }
        if report.passed() {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("again: gristmill chaos --seconds {} --seed {seed}; logs: {}", length.as_secs(), folder.display());
        Ok(ExitCode::FAILURE)
    }
}

fn write(path: &Path, report: &Report) -> anyhow::Result<()> {
    std::fs::write(path, report.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

async fn perform(cluster: &Cluster, seed: u64, length: Duration, workers: usize) -> anyhow::Result<Report> {
    let planned = plan::plan(seed, length);
    let workload = Workload::default();
    let (stop_load, heal, stop_watch) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let acts = async {
        let _stop_watch = stop_watch.clone().drop_guard();
        let (_, struck) = tokio::join!(workload::load(cluster, seed, &workload, &stop_load), async {
            tokio::join!(inject::strike_all(cluster, &planned, &heal), async {
                tokio::time::sleep(length).await;
                stop_load.cancel();
                heal.cancel();
            })
            .0
        });
        let struck = struck?;
        cluster.heal();
        let quiet = quiesce::quiet(cluster).await?;
        // two audits more
        tokio::time::sleep(Duration::from_secs(4)).await;
        anyhow::Ok((struck, quiet))
    };
    let (acts, ended) = tokio::join!(acts, inject::watch(cluster, &stop_watch));
    let ((struck, quiet), ended) = (acts?, ended?);
    let mut findings = check::all(cluster, &workload).await?;
    let recoveries = recovery::recoveries(&cluster.pool, &workload, &struck).await?;
    findings.push(Finding { promise: "no process ended by itself", counted: "all roles".into(), wrong: ended });
    let wrong = cluster.stop_members().await;
    findings.push(Finding { promise: "every process stops in good order", counted: "all roles".into(), wrong });
    Ok(Report { seed, length, workers, quiet, recoveries, findings })
}
