//! Enqueues a job by its name, or many.

use std::{
    io::{BufRead, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::{api::Api, server::Server};

/// What one request takes.
const MAX_JOBS: usize = 10_000;
const MAX_BYTES: usize = 15 * 1024 * 1024;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill jobs enqueue mail.send --payload '{\"to\": 7}' --queue mail --delay 5m
  gristmill jobs enqueue < jobs.ndjson
A line of the input is a job: {\"name\": \"mail.send\", \"payload\": {\"to\": 7}, \"queue\": \"mail\", …}.
Each 10,000 lines come in whole or not at all.")]
pub(super) struct Enqueue {
    /// The name by which workers know the job [default: jobs are read from the standard input, one a line of JSON]
    name: Option<String>,

    /// What it is given
    #[arg(long, value_name = "JSON", value_parser = json, requires = "name", default_value = "{}", hide_default_value = true)]
    payload: Value,

    /// The queue that it waits in [default: default]
    #[arg(long, requires = "name")]
    queue: Option<String>,

    /// So long from now: 90s, 5m, 1h 30m
    #[arg(long, value_name = "TIME", requires = "name")]
    delay: Option<String>,

    /// Not before this time, as in 2026-01-31T07:00:00Z
    #[arg(long, value_name = "TIME", requires = "name")]
    run_at: Option<String>,

    /// 0 is the most urgent, 9 the least [default: 4]
    #[arg(long, value_name = "N", requires = "name")]
    priority: Option<u8>,

    /// Failed attempts until it is dead [default: 8]
    #[arg(long, value_name = "N", requires = "name")]
    max_attempts: Option<u16>,

    /// How long one attempt may take
    #[arg(long, value_name = "TIME", requires = "name")]
    timeout: Option<String>,

    /// Cancel it when it has not started so long after it was due
    #[arg(long, value_name = "TIME", requires = "name")]
    expires_in: Option<String>,

    /// Enqueue nothing while a job with this key waits or runs
    #[arg(long, value_name = "KEY", requires = "name")]
    unique_key: Option<String>,

    /// What it does to the job that waits with its unique key: nothing, take its place, or put it off, too
    #[arg(long, value_name = "MODE", requires = "unique_key", value_parser = ["keep", "replace", "debounce"])]
    unique_mode: Option<String>,

    /// Run jobs with this key one at a time, in the order in which they were enqueued
    #[arg(long, value_name = "KEY", requires = "name")]
    order_key: Option<String>,

    /// Whose turn it takes
    #[arg(long, value_name = "KEY", requires = "name")]
    fair_key: Option<String>,

    /// The group that it is a member of
    #[arg(long, value_name = "ID", requires = "name")]
    group: Option<Uuid>,

    /// A word to find it by; may be given again
    #[arg(long = "tag", value_name = "WORD", requires = "name")]
    tags: Vec<String>,

    /// The answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
}

impl Enqueue {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.name.clone() {
            Some(name) => self.one(name).await,
            None => self.many(std::io::stdin().lock()).await,
        }
    }

    async fn one(self, name: String) -> anyhow::Result<ExitCode> {
        let mut job = Map::from_iter([("name".to_owned(), name.into()), ("payload".to_owned(), self.payload)]);
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                job.insert(field.to_owned(), value);
            }
        };
        let texts = [
            ("queue", self.queue),
            ("delay", self.delay),
            ("run_at", self.run_at),
            ("timeout", self.timeout),
            ("expires_in", self.expires_in),
            ("unique_key", self.unique_key),
            ("unique_mode", self.unique_mode),
            ("order_key", self.order_key),
            ("fair_key", self.fair_key),
        ];
        for (field, text) in texts {
            set(field, text.map(Value::from));
        }
        set("priority", self.priority.map(Value::from));
        set("max_attempts", self.max_attempts.map(Value::from));
        set("group", self.group.map(|group| group.to_string().into()));
        set("tags", (!self.tags.is_empty()).then(|| self.tags.into()));
        let api = Api::open(self.server)?;
        let answer: Value = api.change(Method::POST, "v1/jobs", Some(&Value::Object(job))).await?;
        if self.json {
            println!("{answer}");
        } else if let Some(id) = answer["id"].as_str() {
            println!("{id}");
        } else if answer["replaced"] == true {
            println!(
                "{} waited with this unique key, and is now this job",
                answer["existing"].as_str().unwrap_or("a job")
            );
        } else {
            println!("{} has this unique key: nothing was enqueued", answer["existing"].as_str().unwrap_or("a job"));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn many(self, mut input: impl BufRead) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let (mut lines, mut enqueued, mut existing) = (0, 0, 0);
        loop {
            let (first, batch) = (lines + 1, batch(&mut input, &mut lines)?);
            if batch.is_empty() {
                break;
            }
            let request = api.request(Method::POST, "v1/jobs/batch", &[]).body(batch);
            let request = request.header("idempotency-key", Uuid::new_v4().to_string());
            let sent = async { api.json::<Value>(api.send(request).await?).await };
            let answer = sent.await.with_context(|| {
                format!("the jobs from line {first} on were not enqueued (lines are counted from there), those before were: {enqueued}")
            })?;
            let count = |field: &str| answer[field].as_array().map_or(0, Vec::len);
            enqueued += count("ids") - count("existing");
            existing += count("existing");
            if self.json {
                println!("{answer}");
            }
        }
        if !self.json {
            let had = if existing > 0 { format!(", {existing} were there already") } else { String::new() };
            println!("{enqueued} jobs enqueued{had}");
        }
        std::io::stdout().flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The next lines that one request takes; nothing: there are no more.
fn batch(input: &mut impl BufRead, lines: &mut usize) -> anyhow::Result<Vec<u8>> {
    let (mut batch, mut jobs) = (Vec::new(), 0);
    while jobs < MAX_JOBS && batch.len() < MAX_BYTES {
        if input.read_until(b'\n', &mut batch).context("reading the standard input")? == 0 {
            break;
        }
        (*lines, jobs) = (*lines + 1, jobs + 1);
    }
    // Blank lines at the end are no request.
    if batch.trim_ascii().is_empty() {
        batch.clear();
    }
    Ok(batch)
}
