//! What is done to many jobs: counted, asked for, and then done, however many requests that takes.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Filter, print::Count, print::Job, print::job_table};
use crate::{
    client::{api::Api, confirm::confirm, human::count, server::Server},
    report::Advice,
};

/// Jobs by id, or all that meet the conditions.
#[derive(Args, Debug)]
pub(super) struct Act {
    /// These jobs
    #[arg(value_name = "ID", conflicts_with_all = ["states", "queue", "name", "client", "group", "tag", "older", "newer", "error"])]
    ids: Vec<Uuid>,

    #[command(flatten)]
    filter: Filter,

    /// Only say what it would be done to
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,

    /// Do not ask before it is done to all that meet the conditions
    #[arg(long, short)]
    yes: bool,

    /// The answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

/// The words for one action.
pub(super) struct Words {
    action: &'static str,
    question: &'static str,
    done: &'static str,
}

pub(super) const CANCEL: Words = Words { action: "cancel", question: "Cancel them?", done: "cancelled" };
pub(super) const REDRIVE: Words = Words { action: "redrive", question: "Run them again?", done: "run again" };
pub(super) const DISCARD: Words = Words { action: "discard", question: "Give them up?", done: "given up" };

#[derive(Deserialize)]
struct Part {
    changed: u64,
    requested: u64,
    next_cursor: Option<String>,
}

impl Act {
    pub(super) async fn run(self, words: &Words, per_second: Option<f64>) -> anyhow::Result<ExitCode> {
        if self.ids.is_empty() && self.filter.is_empty() {
            let todo = "name them by id, or by conditions such as --state, --name or --error";
            return Err(Advice::new(format!("which jobs to {}?", words.action), todo).into());
        }
        let api = Api::open(self.server)?;
        let mut request = if self.ids.is_empty() {
            json!({ "action": words.action, "filter": self.filter.body() })
        } else {
            // Of jobs named by their ids even cancelled ones may run again.
            let states: &[&str] = if words.action == "redrive" { &["dead", "parked", "cancelled"] } else { &[] };
            json!({ "action": words.action, "filter": { "states": states }, "ids": self.ids })
        };
        if let Some(per_second) = per_second {
            request["per_second"] = json!(per_second);
        }
        if self.dry_run || (self.ids.is_empty() && !self.yes) {
            request["dry_run"] = json!(true);
            let answer: Value = api.change(Method::POST, "v1/jobs/actions", Some(&request)).await?;
            request["dry_run"] = json!(false);
            if self.dry_run && self.json {
                println!("{answer}");
                return Ok(ExitCode::SUCCESS);
            }
            let matched = Count::of(&answer["matched"])?;
            if matched.is_none() {
                eprintln!("no such jobs");
                return Ok(ExitCode::SUCCESS);
            }
            eprint!("{}", sample(&answer["sample"])?);
            let what = format!("{matched} with {}", self.filter.words_for_people());
            let what = if self.ids.is_empty() { what } else { matched.to_string() };
            if self.dry_run {
                println!("{what}");
                return Ok(ExitCode::SUCCESS);
            }
            if !confirm(&what, words.question)? {
                eprintln!("left as they are");
                return Ok(ExitCode::FAILURE);
            }
        }
        let (mut changed, mut requested) = (0, 0);
        loop {
            let part: Part = api.change(Method::POST, "v1/jobs/actions", Some(&request)).await?;
            changed += part.changed;
            requested += part.requested;
            match part.next_cursor {
                Some(cursor) => request["cursor"] = json!(cursor),
                None => break,
            }
        }
        if self.json {
            println!("{}", json!({ "action": words.action, "changed": changed, "requested": requested }));
        } else {
            let running = if requested == 0 { String::new() } else { format!(", {} asked to stop", count(requested)) };
            println!("{} {}{running}", count(changed), words.done);
        }
        let asked = self.ids.len() as u64;
        if asked > 0 && changed + requested < asked {
            let left = count(asked - changed - requested);
            eprintln!(
                "{left} left as they are: not there, or in a state that does not allow it (`gristmill jobs show ID`)"
            );
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// None where they are: a machine under load counts jobs and may not find the newest of them in time.
fn sample(jobs: &Value) -> anyhow::Result<String> {
    if jobs.is_null() {
        return Ok(String::new());
    }
    let jobs: Vec<Job> = serde_json::from_value(jobs.clone()).context("a strange answer")?;
    Ok(job_table(&jobs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::sample;

    #[test]
    fn an_answer_may_have_no_sample() {
        let answer = json!({ "action": "cancel", "dry_run": true, "matched": { "jobs": 2, "exact": true } });
        assert_eq!(sample(&answer["sample"]).unwrap(), "");
        assert!(sample(&json!("jobs")).is_err());
    }
}
