//! Jobs for people.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use gristmill_queue::{AttemptLogs, AttemptView, JobCount, JobState, JobTick, JobView, StepView, encryption_key};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{
    groups::Group,
    human::{age, count, duration, short},
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
    #[serde(default)]
    order_key: Option<String>,
    parked_by: Option<String>,
    timeout_ms: Option<u64>,
    expires_at: Option<jiff::Timestamp>,
    backoff: Option<Value>,
    retain_seconds: Option<u32>,
    tick: Option<JobTick>,
    waits_for: Option<String>,
    cursor: Option<Value>,
    steps: Vec<StepView>,
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
    let is_later = job.run_at > jiff::Timestamp::now() && !job.held;
    line("runs at", is_later.then(|| job.run_at.strftime("%Y-%m-%d %H:%M:%S").to_string()));
    line("waits", job.held.then(|| "for the stages before its own".to_owned()));
    line("stopping", job.cancel_requested_at.filter(|_| job.finished_at.is_none()).map(time));
    line("started", job.started_at.map(time));
    line("finished", job.finished_at.map(time));
    line("worker", detail.worker);
    line("unique", detail.unique_key);
    line("tags", (!job.tags.is_empty()).then(|| job.tags.join(", ")));
    let millis = |millis: u64| duration(Duration::from_millis(millis));
    line("timeout", detail.timeout_ms.map(millis));
    line("expires", detail.expires_at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()));
    line("backoff", detail.backoff.map(|backoff| backoff.to_string()));
    line("kept for", detail.retain_seconds.map(|seconds| millis(u64::from(seconds) * 1_000)));
    line("tick", detail.tick.map(|tick| format!("{} of schedule {}, {}", tick.fire_at, tick.schedule, tick.cause)));
    line("order", detail.order_key);
    line("gate", job.gate.clone());
    line("trace", detail.trace_parent);
    line("parked by", detail.parked_by);
    line("waits for", detail.waits_for.map(|signal| format!("the signal `{signal}`")));
    line("cursor", detail.cursor.as_ref().map(shown));
    line("payload", Some(shown(&detail.payload)));
    line("result", detail.result.as_ref().map(shown));
    line("error", detail.last_error);
    for step in &detail.steps {
        let at = |at: Option<jiff::Timestamp>| at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let when = at(step.done_at).map(|at| format!("done at {at}"));
        let when = when.or_else(|| at(step.until).map(|at| format!("until {at}"))).unwrap_or_default();
        let result = step.result.as_ref().map(|result| format!(": {}", short(&shown(result), 40)));
        let _ = writeln!(text, "{} {} {when}{}", step.kind, step.name, result.unwrap_or_default());
    }
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

/// What is encrypted is shown by the key that it needs.
fn shown(value: &Value) -> String {
    encryption_key(value).map_or_else(|| value.to_string(), |key| format!("encrypted with key `{key}`"))
}

/// What an attempt has said, a line each.
pub(super) fn logs(logs: &AttemptLogs) -> String {
    let mut text = format!("attempt {}\n", logs.attempt);
    if logs.dropped > 0 {
        let _ = writeln!(text, "  {} lines before these were not kept", count(logs.dropped));
    }
    for line in &logs.lines {
        let at = line.at.strftime("%Y-%m-%d %H:%M:%S%.3f");
        let message = line.message.replace('\n', "\n    ");
        let _ = writeln!(text, "  {at} {:<5} {message}", line.level.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_log_says_what_it_lacks() {
        let line = |message: &str| json!({ "at": "2026-01-31T07:00:00.5Z", "level": "warn", "message": message });
        let said = json!({ "attempt": 2, "dropped": 1_200, "lines": [line("one\ntwo"), line("three")] });
        let text = logs(&AttemptLogs::deserialize(said).unwrap());
        let expected = "attempt 2\n  1,200 lines before these were not kept\n  2026-01-31 07:00:00.500 warn  one\n    two\n  2026-01-31 07:00:00.500 warn  three\n";
        assert_eq!(text, expected);
    }
}
