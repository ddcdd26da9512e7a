//! Jobs: found, looked at, acted on.

use std::{collections::HashSet, time::Duration};

use askama::Template;
use gristmill_queue::{AttemptLogs, JobCount, JobDetail, JobFilter, JobId, JobState, JobView, encryption_key};
use jiff::{SignedDuration, Timestamp};
use strum::VariantNames as _;

use crate::{
    Error,
    board::App,
    extend::{ClientNames, Owner},
    format,
    frame::PageBody,
    visit::{PageQuery, Pages, Visit},
};

const PAGE: u16 = 50;
/// Counting what matches may take so long.
const COUNTING: Duration = Duration::from_millis(20);

/// The broker may take so long to say what runs.
const ASKING: Duration = Duration::from_secs(1);

#[derive(Template)]
#[template(path = "jobs.html")]
struct List<'a> {
    visit: &'a Visit,
    asked: &'a PageQuery,
    jobs: Vec<JobView>,
    count: JobCount,
    states: &'static [&'static str],
    queues: Vec<String>,
    names: Vec<String>,
    /// None: jobs are on nobody's behalf.
    clients: Option<ClientNames>,
    /// The same question, for acting on all that match.
    query: String,
    pages: Pages,
    /// Those of the page that run.
    running: HashSet<JobId>,
    /// The broker does not say which jobs run.
    silent: bool,
    acts: Vec<(&'static str, &'static str)>,
}

impl List<'_> {
    fn client(&self, job: &JobView) -> &str {
        let known = self.clients.iter().flatten().find(|(id, _)| Some(*id) == job.client_id);
        known.map_or("", |(_, name)| name)
    }
}

/// What a question means; none when it asks for what cannot be.
pub(crate) async fn filter(app: &App, asked: &PageQuery) -> Result<Option<JobFilter>, Error> {
    let mut filter = JobFilter {
        queue: asked.get("queue").map(str::to_owned),
        name: asked.get("name").map(str::to_owned),
        error: asked.get("error").map(str::to_owned),
        tag: asked.get("tag").map(str::to_owned),
        ..JobFilter::default()
    };
    if asked.get("state") == Some("running") {
        // The ledger does not know it: workers do.
        filter.ids = all_running(app).await.unwrap_or_default();
        if filter.ids.is_empty() {
            return Ok(None);
        }
    } else if let Some(state) = asked.get("state") {
        let Ok(state) = state.parse() else { return Ok(None) };
        filter.states = vec![state];
    }
    if let Some(client) = asked.get("client") {
        let clients = app.owners.clients().await?.unwrap_or_default();
        let Some((id, _)) = clients.iter().find(|(_, name)| name == client) else { return Ok(None) };
        filter.client_id = Some(*id);
    }
    if let Some(group) = asked.get("group") {
        let Ok(group) = group.parse() else { return Ok(None) };
        filter.group = Some(group);
    }
    if let Some(minutes) = asked.get("minutes") {
        let Ok(minutes) = minutes.parse::<i64>() else { return Ok(None) };
        filter.created_after = Some(Timestamp::now() - SignedDuration::from_mins(minutes.clamp(0, 5_000_000)));
    }
    Ok(Some(filter))
}

pub(super) async fn list(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let (jobs, next, count) = match filter(app, asked).await? {
        Some(filter) => {
            let page = app.queue.jobs().list(&filter, asked.value("before"), PAGE).await?;
            (page.jobs, page.next, app.queue.jobs().count_within(&filter, COUNTING).await?)
        }
        None => (Vec::new(), None, JobCount { jobs: 0, exact: true }),
    };
    let running = all_running(app).await;
    let page = List {
        silent: running.is_none(),
        running: running.into_iter().flatten().collect(),
        visit,
        asked,
        jobs,
        count,
        states: JobState::VARIANTS,
        queues: app.history.queues(),
        names: names(app).await?,
        clients: app.owners.clients().await?,
        query: asked.with("before", ""),
        pages: Pages::of(asked, next),
        acts: acts(asked.text("state")),
    };
    PageBody::of("Jobs", &page)
}

/// What can be done to jobs of this state, and how that is called.
fn acts(state: &str) -> Vec<(&'static str, &'static str)> {
    match state {
        "available" | "scheduled" | "running" => vec![("cancel", "Cancel")],
        "dead" | "parked" => vec![("redrive", "Retry"), ("discard", "Discard")],
        "cancelled" => vec![("redrive", "Retry")],
        _ => Vec::new(),
    }
}

/// Names among the newest jobs, to complete what is typed.
async fn names(app: &App) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        app.queue.schema().sql(
            "select distinct name from (select name from gristmill.jobs order by id desc limit 500) n order by name",
        ),
    )
    .fetch_all(app.queue.pool())
    .await
}

#[derive(Template)]
#[template(path = "job.html")]
struct One<'a> {
    visit: &'a Visit,
    job: JobDetail,
    payload: String,
    /// What the form begins with; nothing: what stays empty stays as it is.
    editable: String,
    result: Option<String>,
    tags: String,
    timeout: Option<String>,
    backoff: Option<String>,
    kept_for: Option<String>,
    /// Verb and label of the form.
    change: Option<(&'static str, &'static str)>,
    client: Option<String>,
    owner: Option<Owner>,
    running: Option<(String, u64)>,
    /// By its owner: then it is not ended alone.
    needed: bool,
    logs: Vec<AttemptLogs>,
}

/// How it can be changed, and how that is called; none: it may run in a moment, or is done.
fn change(state: JobState) -> Option<(&'static str, &'static str)> {
    match state {
        JobState::Scheduled => Some(("change", "Change")),
        JobState::Dead | JobState::Parked | JobState::Cancelled => Some(("retry", "Change and retry")),
        _ => None,
    }
}

pub(super) async fn one(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let Ok(id) = id.parse::<JobId>() else { return Ok(None) };
    let Some(job) = app.queue.jobs().get(id).await? else { return Ok(None) };
    let client = match job.job.client_id {
        Some(id) => {
            let known = app.owners.clients().await?.unwrap_or_default();
            Some(known.into_iter().find(|(of, _)| *of == id).map_or_else(|| id.to_string(), |(_, name)| name))
        }
        None => None,
    };
    let page = One {
        payload: pretty(&job.payload)?,
        editable: if encryption_key(&job.payload).is_some() { String::new() } else { pretty(&job.payload)? },
        result: job.result.as_ref().map(pretty).transpose()?,
        tags: job.job.tags.join(", "),
        timeout: job.timeout_ms.map(|millis| format::seconds(millis as f64 / 1_000.0)),
        backoff: job.backoff.as_ref().map(backoff),
        kept_for: job.retain_seconds.map(|seconds| format::seconds(f64::from(seconds))),
        change: change(job.job.state).filter(|_| app.owners.needs_job(&job).is_none()),
        client,
        visit,
        owner: app.owners.of_job(&job).await?,
        running: running(app, id).await,
        logs: app.queue.jobs().logs(id).await?,
        needed: app.owners.needs_job(&job).is_some(),
        job,
    };
    let title = format!("{} {}", page.job.job.name, format::short(id));
    PageBody::of(title, &page)
}

/// What is encrypted is shown by the key that it needs.
fn pretty(value: &serde_json::Value) -> Result<String, serde_json::Error> {
    match encryption_key(value) {
        Some(_) => Ok(format::content(value)),
        None => serde_json::to_string_pretty(value),
    }
}

/// `2.0 s each time`, `from 1.0 s on, twice as long each time, at most 1 h`.
fn backoff(json: &serde_json::Value) -> String {
    let time = |field: &str| json[field].as_u64().map(|millis| format::seconds(millis as f64 / 1_000.0));
    match (json["type"].as_str(), time("delay_ms"), time("limit_ms")) {
        (Some("fixed"), Some(delay), _) => format!("{delay} each time"),
        (Some("exponential"), Some(delay), Some(limit)) => {
            format!("from {delay} on, twice as long each time, at most {limit}")
        }
        _ => json.to_string(),
    }
}

/// All that run now, as far as workers tell: nobody knows it while the broker is silent.
async fn all_running(app: &App) -> Option<Vec<JobId>> {
    let workers = tokio::time::timeout(ASKING, app.queue.workers()).await.ok()?.ok()?;
    let lines = workers.iter().flat_map(|worker| &worker.lines);
    Some(lines.flat_map(|line| &line.running).filter_map(|running| running.id.parse().ok()).collect())
}

/// Who runs it, and which delivery that is. While the broker is silent nobody knows.
async fn running(app: &App, id: JobId) -> Option<(String, u64)> {
    let workers = tokio::time::timeout(ASKING, app.queue.workers()).await.ok()?.ok()?;
    let id = id.to_string();
    workers.iter().find_map(|worker| {
        let running = worker.lines.iter().flat_map(|line| &line.running).find(|running| running.id == id)?;
        Some((worker.label.clone(), running.delivery))
    })
}
