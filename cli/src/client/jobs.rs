//! The work in the queue: listed, looked at, cancelled, run again, given up.

mod act;
mod filter;
mod print;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;
use uuid::Uuid;

use self::{act::Act, filter::Filter};
use super::{api::Api, newest::Newest, server::Server};

pub(super) use print::{Job, job_table};

/// List jobs, look at one, cancel, run again or give up many
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill jobs list --state dead --error timeout
  gristmill jobs show 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55
  gristmill jobs redrive --name uploads.close --per-second 5 --yes")]
pub(crate) struct Jobs {
    #[command(subcommand)]
    what: JobsCommand,
}

#[derive(Subcommand, Debug)]
enum JobsCommand {
    /// List jobs, the newest first
    List(List),
    /// Show one, with its attempts
    Show(Show),
    /// Cancel jobs that wait, and stop those that run
    Cancel(Act),
    /// Run dead or parked jobs again
    Redrive(Redrive),
    /// Discard dead or parked jobs
    Discard(Act),
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    filter: Filter,

    /// Only count them, up to 10,000
    #[arg(long)]
    count: bool,

    #[command(flatten)]
    newest: Newest,
}

#[derive(Args, Debug)]
struct Show {
    /// The job
    #[arg(value_parser = super::human::id)]
    id: Uuid,

    /// As JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
struct Redrive {
    #[command(flatten)]
    act: Act,

    /// Start at most N per second [default: all at once]
    #[arg(long, value_name = "N")]
    per_second: Option<f64>,
}

impl Jobs {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            JobsCommand::List(list) => list.run().await,
            JobsCommand::Show(show) => show.run().await,
            JobsCommand::Cancel(act) => act.run(&act::CANCEL, None).await,
            JobsCommand::Redrive(redrive) => redrive.act.run(&act::REDRIVE, redrive.per_second).await,
            JobsCommand::Discard(act) => act.run(&act::DISCARD, None).await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut query = self.filter.query();
        if self.count {
            query.push(("total", "true".to_owned()));
            let api = Api::open(self.newest.server)?;
            let total = api.list("v1/jobs", &query, 1).await?.total.unwrap_or(Value::Null);
            let jobs = print::Count::of(&total)?;
            println!("{}", if self.newest.json { total.to_string() } else { jobs.to_string() });
            return Ok(ExitCode::SUCCESS);
        }
        let table = |jobs: &[Value]| Ok(job_table(&jobs.iter().map(Job::of).collect::<anyhow::Result<Vec<_>>>()?));
        self.newest.show("v1/jobs", &query, "no such jobs", table).await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let job: Value = api.get(&format!("v1/jobs/{}", self.id), &[]).await?;
        if self.json {
            println!("{job}");
        } else {
            print!("{}", print::detail(&job)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}
