//! One job: changed while it waits, run now, run again with another payload.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args;
use gristmill_platform::config::parse_duration;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{enqueue::json, print};
use crate::{
    client::{api::Api, human, server::Server},
    report::Advice,
};

#[derive(Args, Debug)]
pub(super) struct One {
    /// The job
    #[arg(value_parser = human::id)]
    id: Uuid,

    /// As JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

#[derive(Args, Debug)]
pub(super) struct Change {
    #[command(flatten)]
    one: One,

    /// What it is given
    #[arg(long, value_name = "JSON", value_parser = json)]
    payload: Option<Value>,

    /// The queue that it waits in
    #[arg(long)]
    queue: Option<String>,

    /// 0 is the most urgent, 9 the least
    #[arg(long, value_name = "N")]
    priority: Option<u8>,

    /// Failed attempts until it is dead, those that it has had among them
    #[arg(long, value_name = "N")]
    max_attempts: Option<u16>,

    /// Not before so long from now, such as 30m or 12h
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "run_at")]
    delay: Option<Duration>,

    /// Not before this time, as in 2026-01-31T07:00:00Z
    #[arg(long, value_name = "TIME")]
    run_at: Option<Timestamp>,

    /// How long one attempt may take
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// A word to find it by, in place of those that it has; may be given again
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Retry {
    #[command(flatten)]
    one: One,

    /// What it is given from now on (with an operator's key) [default: what it was given]
    #[arg(long, value_name = "JSON", value_parser = json)]
    payload: Option<Value>,
}

impl Change {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut change = Map::new();
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                change.insert(field.to_owned(), value);
            }
        };
        let later = self.delay.map(|delay| Timestamp::now().checked_add(delay)).transpose();
        let run_at = later.context("so far in the future is no time")?.or(self.run_at);
        set("payload", self.payload);
        set("queue", self.queue.map(Value::from));
        set("priority", self.priority.map(Value::from));
        set("max_attempts", self.max_attempts.map(Value::from));
        set("run_at", run_at.map(|at| at.to_string().into()));
        set("timeout", self.timeout.map(Value::from));
        set("tags", (!self.tags.is_empty()).then(|| self.tags.into()));
        if change.is_empty() {
            let todo = "name it: --payload, --queue, --priority, --max-attempts, --delay, --run-at, --timeout or --tag";
            return Err(Advice::new("what is to be changed?", todo).into());
        }
        self.one.ask(Method::PATCH, "", Some(&Value::Object(change))).await
    }
}

impl Retry {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let body = self.payload.map(|payload| json!({ "payload": payload }));
        self.one.ask(Method::POST, "/redrive", body.as_ref()).await
    }
}

impl One {
    pub(super) async fn promote(self) -> anyhow::Result<ExitCode> {
        self.ask(Method::POST, "/promote", None).await
    }

    async fn ask(self, method: Method, rest: &str, body: Option<&Value>) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let job: Value = api.change(method, &format!("v1/jobs/{}{rest}", self.id), body).await?;
        if self.json {
            println!("{job}");
        } else {
            print!("{}", print::detail(&job)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}
