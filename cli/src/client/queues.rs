//! Queues: how they stand, paused, drained, limited.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use gristmill_queue::QueueView;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{
    all::All,
    api::{Api, segment},
    human::{count, duration, short, table},
    limits::{Limits, said},
    server::Server,
};

/// List queues; pause, drain and limit them (with an operator's key)
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill queues list
  gristmill queues pause chunks
  gristmill queues limit chunks --concurrency 8 --per-client 2")]
pub(crate) struct Queues {
    #[command(subcommand)]
    what: QueuesCommand,
}

#[derive(Subcommand, Debug)]
enum QueuesCommand {
    /// List queues that have jobs, a worker, limits or a pause
    List(All),
    /// Show one queue
    Show(One),
    /// Start none of its jobs; running jobs continue
    Pause(One),
    /// Start its jobs again; also ends a drain
    Resume(One),
    /// Run what is due now, then pause
    Drain(One),
    /// Set its limits over all workers; a limit that is not given is removed
    Limit {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        limits: Limits,
        /// Jobs of one client that run at a time
        #[arg(long, value_name = "N", help_heading = "Limits")]
        per_client: Option<u32>,
    },
}

#[derive(Args, Debug)]
struct One {
    /// The queue
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Queues {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            QueuesCommand::List(all) => {
                all.show("v1/queues", None, queue_table).await?;
            }
            QueuesCommand::Show(one) => one.ask(Method::GET, "", None).await?,
            QueuesCommand::Pause(one) => one.ask(Method::POST, "/pause", None).await?,
            QueuesCommand::Resume(one) => one.ask(Method::POST, "/resume", None).await?,
            QueuesCommand::Drain(one) => one.ask(Method::POST, "/drain", None).await?,
            QueuesCommand::Limit { one, limits, per_client } => {
                one.ask(Method::PUT, "/limits", Some(limits.body(per_client).into())).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    async fn ask(self, method: Method, rest: &str, body: Option<Value>) -> anyhow::Result<()> {
        let path = format!("v1/queues/{}{rest}", segment(&self.name));
        let queue: Value = Api::open(self.server)?.change(method, &path, body.as_ref()).await?;
        if self.json {
            println!("{queue}");
        } else {
            print!("{}", queue_table(&[queue])?);
        }
        Ok(())
    }
}

/// As it was counted, or `about 1.2 million`.
fn jobs(number: u64, exact: bool) -> String {
    if exact { count(number) } else { gristmill_core::human::about(number) }
}

fn queue_table(queues: &[Value]) -> anyhow::Result<String> {
    const HEAD: [&str; 8] = ["QUEUE", "WAITING", "LATER", "RUNNING", "SLOTS", "OLDEST", "LEFT", "STATE"];
    let mut rows = Vec::new();
    let mut limits = String::new();
    for queue in queues {
        let queue = QueueView::deserialize(queue)?;
        let time = |seconds: f64| match Duration::try_from_secs_f64(seconds) {
            Ok(time) => duration(time),
            Err(_) => "endless".to_owned(),
        };
        let state = match (queue.paused, queue.draining) {
            (true, _) => "paused",
            (_, true) => "draining",
            _ => "open",
        };
        rows.push([
            short(&queue.name, 18),
            jobs(queue.available, queue.available_exact),
            jobs(queue.scheduled, queue.scheduled_exact),
            queue.running.map_or("?".to_owned(), count),
            queue.slots.to_string(),
            queue.oldest_seconds.map_or("-".to_owned(), time),
            // QueuesCommand waits there stays until it is resumed, or a worker comes.
            if queue.available > 0 && (queue.paused || queue.slots == 0) {
                "-".to_owned()
            } else {
                queue.seconds_left.map_or("?".to_owned(), time)
            },
            state.to_owned(),
        ]);
        let said = said(&queue.limits, "client");
        if !said.is_empty() {
            limits += &format!("{}: at most {}\n", queue.name, said.join(", "));
        }
    }
    Ok(table(HEAD, [false, true, true, true, true, true, true, false], &rows) + &limits)
}
