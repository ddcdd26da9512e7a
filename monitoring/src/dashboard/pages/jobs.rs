//! Jobs: found, looked at, acted on.

use std::{collections::HashSet, time::Duration};

use askama::Template;
use gristmill_core::ClientId;
use gristmill_kinds::Owner;
use gristmill_platform::keys;
use gristmill_queue::{JobCount, JobDetail, JobFilter, JobId, JobState, JobView};
use gristmill_uploads::UploadId;
use jiff::{SignedDuration, Timestamp};
use strum::VariantNames as _;

use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

const PAGE: u16 = 50;
/// Counting what matches may take so long.
const COUNTING: Duration = Duration::from_millis(20);

/// Redis may take so long to say what runs.
const ASKING: Duration = Duration::from_secs(1);

#[derive(Template)]
#[template(path = "jobs.html")]
struct List<'a> {
    asked: &'a PageQuery,
    jobs: Vec<JobView>,
    count: JobCount,
    states: &'static [&'static str],
    queues: Vec<String>,
    names: Vec<String>,
    clients: Vec<(ClientId, String)>,
    /// The same question, for acting on all that match.
    query: String,
    pages: Pages,
    /// Those of the page that run.
    running: HashSet<JobId>,
    /// Redis does not say which jobs run.
    silent: bool,
    operator: bool,
    acts: Vec<(&'static str, &'static str)>,
}

impl List<'_> {
    fn client(&self, job: &JobView) -> &str {
        let known = self.clients.iter().find(|(id, _)| Some(*id) == job.client_id);
        known.map_or("", |(_, name)| name)
    }
}

/// What a question means; none when it asks for what cannot be.
pub(in crate::dashboard) async fn filter(app: &App, asked: &PageQuery) -> Result<Option<JobFilter>, DashboardError> {
    let mut filter = JobFilter {
        queue: asked.get("queue").map(str::to_owned),
        name: asked.get("name").map(str::to_owned),
        error: asked.get("error").map(str::to_owned),
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
        let Some(id) = keys::client_id(&app.pool, client).await? else { return Ok(None) };
        filter.client_id = Some(id);
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

pub(super) async fn list(app: &App, operator: bool, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let (jobs, next, count) = match filter(app, asked).await? {
        Some(filter) => {
            let page = app.queue.jobs().list(&filter, asked.parse("before"), PAGE).await?;
            (page.jobs, page.next, app.queue.jobs().count_within(&filter, COUNTING).await?)
        }
        None => (Vec::new(), None, JobCount { jobs: 0, exact: true }),
    };
    let running = all_running(app).await;
    let page = List {
        silent: running.is_none(),
        running: running.into_iter().flatten().collect(),
        asked,
        jobs,
        count,
        states: JobState::VARIANTS,
        queues: app.history.queues(),
        names: names(app).await?,
        clients: keys::clients(&app.pool).await?,
        query: asked.with("before", ""),
        pages: Pages::of(asked, next),
        operator,
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
    sqlx::query_scalar("select distinct name from (select name from jobs order by id desc limit 500) n order by name")
        .fetch_all(&app.pool)
        .await
}

#[derive(Template)]
#[template(path = "job.html")]
struct One {
    job: JobDetail,
    payload: String,
    result: Option<String>,
    client: Option<String>,
    source: Option<Source>,
    running: Option<(String, u64)>,
    operator: bool,
    /// By its owner: then it is not ended alone.
    needed: bool,
}

/// The part of a file that a chunk's job is about.
#[derive(sqlx::FromRow)]
struct Source {
    upload_id: UploadId,
    no: i32,
    first_line: i64,
    first_byte: i64,
    bytes: i64,
}

pub(super) async fn one(app: &App, operator: bool, id: &str) -> Result<Option<PageBody>, DashboardError> {
    let Ok(id) = id.parse::<JobId>() else { return Ok(None) };
    let Some(job) = app.queue.jobs().get(id).await? else { return Ok(None) };
    let client = match job.job.client_id {
        Some(client) => keys::client_names(&app.pool, &[client]).await?.pop().map(|(_, name)| name),
        None => None,
    };
    let source = sqlx::query_as(
        "select c.upload_id, c.no, c.first_line, c.first_byte, c.bytes
         from jobs j join chunks c on c.upload_id::text = j.payload->>'upload_id' and c.no::text = j.payload->>'no'
         where j.id = $1",
    )
    .bind(id)
    .fetch_optional(&app.pool)
    .await?;
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value);
    let page = One {
        payload: pretty(&job.payload)?,
        result: job.result.as_ref().map(pretty).transpose()?,
        client,
        source,
        running: running(app, id).await,
        operator,
        needed: Owner::of_job(&job).is_some(),
        job,
    };
    let title = format!("{} {}", page.job.job.name, format::short(id));
    PageBody::of(title, &page)
}

/// All that run now, as far as workers tell: nobody knows it while Redis is silent.
async fn all_running(app: &App) -> Option<Vec<JobId>> {
    let workers = tokio::time::timeout(ASKING, app.queue.workers()).await.ok()?.ok()?;
    let lines = workers.iter().flat_map(|worker| &worker.lines);
    Some(lines.flat_map(|line| &line.running).filter_map(|running| running.id.parse().ok()).collect())
}

/// Who runs it, and which delivery that is. While Redis is silent nobody knows.
async fn running(app: &App, id: JobId) -> Option<(String, u64)> {
    let workers = tokio::time::timeout(ASKING, app.queue.workers()).await.ok()?.ok()?;
    let id = id.to_string();
    workers.iter().find_map(|worker| {
        let running = worker.lines.iter().flat_map(|line| &line.running).find(|running| running.id == id)?;
        Some((worker.label.clone(), running.delivery))
    })
}
