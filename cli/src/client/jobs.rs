//! The work in the queue: listed, looked at, cancelled, run again, given up.

mod act;
mod change;
mod enqueue;
mod filter;
mod limits;
mod print;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gristmill_queue::AttemptLogs;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use self::{act::Act, enqueue::Enqueue, filter::Filter};
use super::{
    api::{Api, segment},
    newest::Newest,
    server::Server,
};

pub(super) use print::{Job, job_table};

/// Enqueue jobs, list them, look at one, change it, cancel, run again or give up many
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill jobs list --state dead --error timeout
  gristmill jobs show 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55
  gristmill jobs list --tag signup
  gristmill jobs retry 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55 --payload '{\"to\": 8}'
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
    /// What its attempts have said
    Logs(Logs),
    /// Enqueue a job by its name, or many (with an operator's key)
    Enqueue(Box<Enqueue>),
    /// Change one that waits: its payload, queue, priority, time (with an operator's key)
    Change(Box<change::Change>),
    /// Run a scheduled one now
    Promote(change::One),
    /// Run one again that is dead, parked or cancelled, with another payload if wanted
    Retry(change::Retry),
    /// Send a job a signal, for which it waits or will wait (with an operator's key)
    Signal(Signal),
    /// Cancel jobs that wait, and stop those that run
    Cancel(Act),
    /// Run dead or parked jobs again
    Redrive(Redrive),
    /// Discard dead or parked jobs
    Discard(Act),
    /// List limits of jobs by their names, how many run and wait for room, and pools of slots
    Limits(limits::Asked),
    /// Limit all jobs of a name, in whichever queues; a limit that is not given is removed
    Limit(limits::Limit),
    /// Make a pool of slots that jobs share, change it, or remove it
    Pool(limits::Pool),
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
struct Logs {
    /// The job
    #[arg(value_parser = super::human::id)]
    id: Uuid,

    /// Only of this attempt, from 1
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,

    /// As JSON, a line for each attempt
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
struct Signal {
    /// The job
    #[arg(value_parser = super::human::id)]
    id: Uuid,

    /// The signal's name
    name: String,

    /// What the job receives [default: null]
    #[arg(long, value_name = "JSON", value_parser = enqueue::json)]
    payload: Option<Value>,

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
            JobsCommand::Logs(logs) => logs.run().await,
            JobsCommand::Signal(signal) => signal.run().await,
            JobsCommand::Enqueue(enqueue) => enqueue.run().await,
            JobsCommand::Change(change) => change.run().await,
            JobsCommand::Promote(one) => one.promote().await,
            JobsCommand::Retry(retry) => retry.run().await,
            JobsCommand::Cancel(act) => act.run(&act::CANCEL, None).await,
            JobsCommand::Redrive(redrive) => redrive.act.run(&act::REDRIVE, redrive.per_second).await,
            JobsCommand::Discard(act) => act.run(&act::DISCARD, None).await,
            JobsCommand::Limits(asked) => asked.run().await,
            JobsCommand::Limit(limit) => limit.run().await,
            JobsCommand::Pool(pool) => pool.run().await,
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

#[derive(Deserialize)]
struct LogsAnswer {
    items: Vec<AttemptLogs>,
}

impl Logs {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let answer: LogsAnswer = api.get(&format!("v1/jobs/{}/logs", self.id), &[]).await?;
        let wanted = |logs: &AttemptLogs| self.attempt.is_none_or(|attempt| attempt == logs.attempt);
        let attempts: Vec<AttemptLogs> = answer.items.into_iter().filter(wanted).collect();
        for logs in &attempts {
            if self.json {
                println!("{}", serde_json::to_string(logs)?);
            } else {
                print!("{}", print::logs(logs));
            }
        }
        if attempts.is_empty() && !self.json {
            eprintln!("nothing was said");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Signal {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let path = format!("v1/jobs/{}/signals/{}", self.id, segment(&self.name));
        let body = json!({ "payload": self.payload });
        let _: Value = api.change(Method::POST, &path, Some(&body)).await?;
        println!("sent");
        Ok(ExitCode::SUCCESS)
    }
}
