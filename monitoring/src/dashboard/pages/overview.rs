//! What everything does; what needs attention is found in `attention`.

use std::{sync::Arc, time::Duration};

use askama::Template;
use gristmill_platform::ids;
use gristmill_queue::{QueueView, WorkerView};
use gristmill_uploads::{Upload, read};

use super::attention::{self, Attention};
use crate::{
    dashboard::{
        app::App,
        chart::{Chart, chart},
        format,
        history::{A_MINUTE, History},
        page::{DashboardError, PageBody},
    },
    health::Readiness,
};

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    attention: Vec<Attention>,
    jobs: Chart,
    /// None: Redis does not say it.
    jobs_now: Option<f64>,
    rows: Chart,
    rows_now: f64,
    backlog: Chart,
    waiting: u64,
    waiting_exact: bool,
    seconds_left: Option<f64>,
    latency: Latency,
    queues: Vec<QueueView>,
    /// None: Redis does not say it.
    workers: Option<Vec<WorkerView>>,
    /// None: nobody has looked yet.
    engines: Option<Arc<Readiness>>,
    uploads: Vec<(String, Upload)>,
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

pub(super) async fn page(app: &App) -> Result<Option<PageBody>, DashboardError> {
    let samples = app.history.all();
    let now = samples.last().copied().unwrap_or_default();
    let line = |value: fn(&crate::dashboard::history::Sample) -> f64| {
        chart(&samples.iter().map(value).collect::<Vec<_>>(), History::minutes(samples.len()), A_MINUTE)
    };
    let queues = app.queue.queues().list().await?;
    // What is paused has no end; it counts as none, as workers would not help.
    let left: Vec<f64> =
        queues.iter().filter(|queue| !queue.paused && queue.slots > 0).filter_map(|queue| queue.seconds_left).collect();
    let workers = workers(app).await;
    let engines = app.history.engines();
    let page = Page {
        attention: attention::find(app, &queues, workers.as_deref(), engines.as_deref()).await?,
        jobs: line(|sample| sample.jobs_per_second),
        jobs_now: workers.is_some().then(|| queues.iter().filter_map(|queue| queue.acked_per_second).sum()),
        rows: line(|sample| sample.rows_per_second),
        rows_now: now.rows_per_second,
        backlog: line(|sample| sample.backlog as f64),
        waiting: queues.iter().map(|queue| queue.available).sum(),
        waiting_exact: queues.iter().all(|queue| queue.available_exact),
        seconds_left: left.into_iter().reduce(f64::max).filter(|left| *left > 0.0),
        latency: latency(app).await?,
        workers,
        engines,
        uploads: read::recent(&app.pool, &read::Filter { limit: 6, ..read::Filter::default() }).await?,
        queues,
    };
    PageBody::of("Overview", &page)
}

/// How long Redis may take to say who works.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);

async fn workers(app: &App) -> Option<Vec<WorkerView>> {
    match tokio::time::timeout(REDIS_TIMEOUT, app.queue.workers()).await {
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
    sqlx::query_as(
        "with newest as (
            select state, run_at, started_at, finished_at from jobs where id > $1 order by id desc limit 5000
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
    )
    .bind(ids::younger_than(Duration::from_secs(3_600)))
    .fetch_one(&app.pool)
    .await
}
