//! Jobs for people.

use std::fmt::{self, Write as _};

use gristmill_queue::{AttemptView, JobCount, JobState, JobView};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{
    groups::Group,
    human::{age, count, short},
    table::unfolded,
};

/// A job as the API shows it.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Job {
    #[serde(flatten)]
    job: JobView,
    client: Option<String>,
}

impl Job {
    pub(in crate::client) fn of(value: &Value) -> anyhow::Result<Self> {
        Ok(Self::deserialize(value)?)
    }
}

/// How many jobs, perhaps at least.
pub(super) struct Count(JobCount);

impl Count {
    pub(super) fn of(value: &Value) -> anyhow::Result<Self> {
        Ok(Self(JobCount::deserialize(value)?))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.jobs == 0 && self.0.exact
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobCount { jobs, exact } = self.0;
        let more = if exact { "" } else { "+" };
        write!(f, "{}{more} {}", count(jobs), if jobs == 1 && exact { "job" } else { "jobs" })
    }
}

/// One that has succeeded needed one more than those that failed, which is what the ledger counts.
fn tries(job: &JobView) -> u32 {
    job.attempt + u32::from(job.state == JobState::Completed)
}

/// In 80 columns; the error of a job that has one stands below it.
pub(in crate::client) fn job_table(jobs: &[Job]) -> String {
    let rows: Vec<[String; 5]> = jobs
        .iter()
        .map(|Job { job, .. }| {
            [
                job.id.to_string(),
                job.state.to_string(),
                short(&job.name, 18),
                format!("{}/{}", tries(job), job.max_attempts),
                age(job.created_at),
            ]
        })
        .collect();
    let text = unfolded(["ID", "STATE", "NAME", "TRIES", "AGE"], [false, false, false, true, true], &rows);
    let errors = std::iter::once(None).chain(jobs.iter().map(|job| job.job.error.as_deref()));
    text.lines().zip(errors).fold(String::new(), |mut text, (line, error)| {
        let _ = writeln!(text, "{line}");
        if let Some(error) = error {
            let _ = writeln!(text, "  {}", short(error, 77));
        }
        text
    })
}

/// What only one job shows.
#[derive(Deserialize)]
struct Detail {
    #[serde(flatten)]
    job: Job,
    payload: Value,
    result: Option<Value>,
    worker: Option<String>,
    last_error: Option<String>,
    trace_parent: Option<String>,
    unique_key: Option<String>,
    parked_by: Option<String>,
    attempts: Vec<AttemptView>,
    group: Option<Group>,
}

/// Everything about one job.
pub(super) fn detail(value: &Value) -> anyhow::Result<String> {
    let detail = Detail::deserialize(value)?;
    let Job { job, client } = &detail.job;
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<10} {value}");
        }
    };
    let time = |at: jiff::Timestamp| format!("{} ({} ago)", at.strftime("%Y-%m-%d %H:%M:%S"), age(at));
    line("job", Some(job.id.to_string()));
    line("name", Some(job.name.clone()));
    line("state", Some(job.state.to_string()));
    line("queue", Some(format!("{}, priority {}", job.queue, job.priority)));
    line("client", client.clone());
    line("group", detail.group.as_ref().map(Group::line));
    line("tries", Some(format!("{} of {}", tries(job), job.max_attempts)));
    line("redriven", (job.redriven > 0).then(|| format!("{} times", job.redriven)));
    line("enqueued", Some(time(job.created_at)));
    let is_later = job.run_at > jiff::Timestamp::now();
    line("runs at", is_later.then(|| job.run_at.strftime("%Y-%m-%d %H:%M:%S").to_string()));
    line("stopping", job.cancel_requested_at.filter(|_| job.finished_at.is_none()).map(time));
    line("started", job.started_at.map(time));
    line("finished", job.finished_at.map(time));
    line("worker", detail.worker);
    line("unique", detail.unique_key);
    line("trace", detail.trace_parent);
    line("parked by", detail.parked_by);
    line("payload", Some(detail.payload.to_string()));
    line("result", detail.result.map(|result| result.to_string()));
    line("error", detail.last_error);
    for attempt in &detail.attempts {
        let AttemptView { attempt: number, outcome, ended_at, .. } = attempt;
        let ended = ended_at.strftime("%Y-%m-%d %H:%M:%S");
        let _ = writeln!(text, "attempt {number}: {outcome} at {ended} {}", attempt.worker.as_deref().unwrap_or(""));
        if let Some(error) = attempt.error.as_deref().filter(|error| Some(*error) != job.error.as_deref()) {
            let _ = writeln!(text, "  {}", short(error, 77));
        }
    }
    Ok(text)
}
