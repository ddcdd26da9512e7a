//! Limits by the name of a job, and pools of slots.

use std::process::ExitCode;

use clap::Args;
use gristmill_queue::NamedLimitsView;
use reqwest::Method;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::super::{
    api::{Api, segment},
    human::{count, table},
    limits::{Limits, said},
    server::Server,
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gristmill jobs limit mail.send --rate 50 --per-key 2
  gristmill jobs pool gpu --slots 4
  gristmill jobs limit train --uses gpu=2")]
pub(super) struct Limit {
    /// The name of the jobs
    name: String,
    #[command(flatten)]
    limits: Limits,
    /// Jobs of one fair key that run at a time
    #[arg(long, value_name = "N", help_heading = "Limits")]
    per_key: Option<u32>,
    /// Slots of a pool that each job takes; may be given again
    #[arg(long, value_name = "POOL=N", value_parser = uses, help_heading = "Limits")]
    uses: Vec<(String, u32)>,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Args, Debug)]
pub(super) struct Pool {
    /// The name of the pool
    name: String,
    /// How many slots it has
    #[arg(long, value_name = "N", required_unless_present = "remove")]
    slots: Option<u32>,
    /// Remove it: no job may use it
    #[arg(long, conflicts_with = "slots")]
    remove: bool,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Args, Debug)]
pub(super) struct Asked {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

fn uses(text: &str) -> Result<(String, u32), String> {
    let (pool, slots) = text.rsplit_once('=').ok_or("write the pool and a number, as in gpu=2")?;
    let slots = slots.parse().map_err(|error| format!("`{slots}` is no number of slots: {error}"))?;
    Ok((pool.to_owned(), slots))
}

impl Limit {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { name, limits, per_key, uses, asked } = self;
        let mut body = limits.body(per_key);
        let uses: Map<String, Value> = uses.into_iter().map(|(pool, slots)| (pool, slots.into())).collect();
        body.insert("uses".to_owned(), uses.into());
        asked.ask(Method::PUT, &format!("/jobs/{}", segment(&name)), Some(body.into())).await
    }
}

impl Pool {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { name, slots, asked, .. } = self;
        let rest = format!("/pools/{}", segment(&name));
        if let Some(slots) = slots {
            return asked.ask(Method::PUT, &rest, Some(json!({ "slots": slots }))).await;
        }
        let api = Api::open(asked.server)?;
        api.send(api.request(Method::DELETE, &format!("v1/limits{rest}"), &[])).await?;
        println!("the pool {name} is gone");
        Ok(ExitCode::SUCCESS)
    }
}

impl Asked {
    /// All limits.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        self.ask(Method::GET, "", None).await
    }

    async fn ask(self, method: Method, rest: &str, body: Option<Value>) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let path = format!("v1/limits{rest}");
        let limits: Value = match body {
            Some(body) => api.change(method, &path, Some(&body)).await?,
            None => api.get(&path, &[]).await?,
        };
        if self.json {
            println!("{limits}");
        } else {
            print!("{}", limits_table(&limits)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn limits_table(limits: &Value) -> anyhow::Result<String> {
    let limits = NamedLimitsView::deserialize(limits)?;
    let mut text = String::new();
    if !limits.jobs.is_empty() {
        let rows = limits.jobs.iter().map(|job| {
            let of = &job.limits;
            let without_pools = gristmill_queue::Limits {
                concurrency: of.concurrency,
                rate_per_second: of.rate_per_second,
                burst: of.burst,
                key_concurrency: of.key_concurrency,
            };
            let used = of.uses.iter().map(|(pool, slots)| format!("{slots} of {pool}"));
            let said: Vec<String> = said(&without_pools, "key").into_iter().chain(used).collect();
            let waiting = if job.waiting > 10_000 { "more than 10,000".to_owned() } else { count(job.waiting) };
            let said = if said.is_empty() { "-".to_owned() } else { said.join(", ") };
            [job.name.clone(), count(job.running), waiting, said]
        });
        text += &table(["JOB", "RUNNING", "WAITING", "AT MOST"], [false, true, true, false], &rows.collect::<Vec<_>>());
    }
    if !limits.pools.is_empty() {
        let rows = limits.pools.iter().map(|pool| [pool.name.clone(), pool.slots.to_string(), count(pool.taken)]);
        text += &table(["POOL", "SLOTS", "TAKEN"], [false, true, true], &rows.collect::<Vec<_>>());
    }
    if text.is_empty() {
        text = "no job is limited by its name, and there is no pool of slots\n".to_owned();
    }
    Ok(text)
}
