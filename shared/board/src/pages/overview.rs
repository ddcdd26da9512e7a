//! What everything does; what needs attention is found in `attention`.

use std::{sync::Arc, time::Duration};

use askama::Template;
use gristmill_core::ids;
use gristmill_queue::{QueueView, WorkerView};

use super::attention;
use crate::{Attention, Error, board::App, engines::Engine, format, frame::PageBody, visit::Visit};

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    visit: &'a Visit,
    attention: Vec<Attention>,
    /// As HTML, like what follows.
    jobs: String,
    /// Tiles and sections of added pages.
    tiles: String,
    sections: String,
    backlog: String,
    latency: Latency,
    queues: Vec<QueueView>,
    /// None: the broker does not say it.
    workers: Option<Vec<WorkerView>>,
    /// None: nobody has looked yet.
    engines: Option<Arc<[Engine]>>,
}

/// Of the newest jobs that have ended.
#[derive(Default, sqlx::FromRow)]
struct Latency {
    wait_p50: Option<f64>,
    wait_p99: Option<f64>,
    run_p50: Option<f64>,
    run_p99: Option<f64>,
    failed: i64,
}

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let queues = app.queue.queues().list().await?;
    let workers = workers(app).await;
    let engines = app.history.engines();
    let jobs = match workers.is_some() {
        true => format::rate(queues.iter().filter_map(|queue| queue.acked_per_second).sum::<f64>()),
        false => "?".to_owned(),
    };
    let (mut tiles, mut sections) = (String::new(), String::new());
    for page in &app.pages {
        let cards = page.cards(visit).await?;
        tiles += &cards.tiles;
        sections += &cards.sections;
    }
    let page = Page {
        visit,
        attention: attention::find(app, &queues, workers.as_deref(), engines.as_deref()).await?,
        jobs: app.history.jobs.tile("Jobs/s", "/s", &jobs, "")?,
        tiles,
        sections,
        backlog: backlog(app, &queues)?,
        latency: latency(app).await?,
        workers,
        engines,
        queues,
    };
    PageBody::of("Overview", &page)
}

/// What waits, and how long it takes until it is done.
fn backlog(app: &App, queues: &[QueueView]) -> Result<String, Error> {
    let waiting: u64 = queues.iter().map(|queue| queue.available).sum();
    let exact = queues.iter().all(|queue| queue.available_exact);
    // What is paused has no end; it counts as none, as workers would not help.
    let served = queues.iter().filter(|queue| !queue.paused && queue.slots > 0);
    let left = served.filter_map(|queue| queue.seconds_left).reduce(f64::max);
    let left = left.filter(|left| waiting > 0 && *left > 0.0 && left.is_finite());
    let note = left.map_or_else(String::new, |left| format!("{} of work left", format::seconds(left)));
    app.history.backlog.tile("Waiting jobs", "", &format::jobs(waiting, &exact), &note)
}

/// How long the broker may take to say who works.
const BROKER_TIMEOUT: Duration = Duration::from_secs(1);

async fn workers(app: &App) -> Option<Vec<WorkerView>> {
    match tokio::time::timeout(BROKER_TIMEOUT, app.queue.workers()).await {
        Ok(Ok(workers)) => Some(workers),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the workers cannot be listed");
            None
        }
        Err(_) => None,
    }
}

/// Of the jobs among the newest five thousand that have ended within the hour.
async fn latency(app: &App) -> Result<Latency, sqlx::Error> {
    sqlx::query_as(app.queue.schema().sql(
        "with newest as (
            select state, run_at, started_at, finished_at from gristmill.jobs where id > $1 order by id desc limit 5000
         ), ended as (
            select extract(epoch from started_at - run_at)::float8 as wait,
                   extract(epoch from finished_at - started_at)::float8 as run
            from newest where state = 'completed' and started_at is not null
         )
         select percentile_cont(0.5) within group (order by wait) as wait_p50,
                percentile_cont(0.99) within group (order by wait) as wait_p99,
                percentile_cont(0.5) within group (order by run) as run_p50,
                percentile_cont(0.99) within group (order by run) as run_p99,
                (select count(*) from newest where state in ('dead', 'parked')) as failed
         from ended",
    ))
    .bind(ids::younger_than(Duration::from_secs(3_600)))
    .fetch_one(app.queue.pool())
    .await
}
