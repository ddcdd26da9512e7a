//! What everything does, and what needs attention.

use std::{sync::Arc, time::Duration};

use askama::Template;
use gristmill_platform::ids;
use gristmill_queue::{GroupFilter, GroupState, JobFilter, JobState, QueueView, WorkerView};
use gristmill_uploads::{Upload, read};

use crate::{
    dashboard::{
        app::App,
        chart::{Chart, chart},
        history::{A_MINUTE, History},
        page::{Fault, Inside},
        say,
    },
    health::Readiness,
};

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    attention: Vec<Attention>,
    jobs: Chart,
    jobs_now: f64,
    rows: Chart,
    rows_now: f64,
    backlog: Chart,
    waiting: u64,
    seconds_left: Option<f64>,
    latency: Latency,
    queues: Vec<QueueView>,
    workers: Vec<WorkerView>,
    /// None: nobody has looked yet.
    engines: Option<Arc<Readiness>>,
    uploads: Vec<(String, Upload)>,
}

/// Something that somebody should look at.
struct Attention {
    what: String,
    to: &'static str,
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

pub(super) async fn page(app: &App) -> Result<Option<Inside>, Fault> {
    let samples = app.history.all();
    let now = samples.last().copied().unwrap_or_default();
    let line = |value: fn(&crate::dashboard::history::Sample) -> f64| {
        chart(&samples.iter().map(value).collect::<Vec<_>>(), History::minutes(samples.len()), A_MINUTE)
    };
    let queues = app.queue.queues().list().await?;
    let left: Vec<f64> = queues.iter().filter_map(|queue| queue.seconds_left).collect();
    let page = Page {
        attention: attention(app, &queues).await?,
        jobs: line(|sample| sample.jobs_per_second),
        jobs_now: queues.iter().filter_map(|queue| queue.acked_per_second).sum(),
        rows: line(|sample| sample.rows_per_second),
        rows_now: now.rows_per_second,
        backlog: line(|sample| sample.backlog as f64),
        waiting: queues.iter().map(|queue| queue.available).sum(),
        seconds_left: left.into_iter().reduce(f64::max),
        latency: latency(app).await?,
        workers: app.queue.workers().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the workers cannot be listed");
            Vec::new()
        }),
        engines: app.history.engines(),
        uploads: read::recent(&app.pool, &read::Filter { limit: 6, ..read::Filter::default() }).await?,
        queues,
    };
    Inside::of("Overview", &page)
}

async fn attention(app: &App, queues: &[QueueView]) -> Result<Vec<Attention>, Fault> {
    let mut found = Vec::new();
    let mut tell = |n: u64, one: &str, many: &str, to| {
        if n > 0 {
            found.push(Attention { what: format!("{} {}", say::count(n), if n == 1 { one } else { many }), to });
        }
    };
    let counted = async |states: Vec<JobState>| {
        let filter = JobFilter { states, ..JobFilter::default() };
        app.queue.jobs().count_within(&filter, Duration::from_millis(20)).await.map(|count| count.jobs)
    };
    tell(counted(vec![JobState::Dead]).await?, "job is dead", "jobs are dead", "/dead");
    tell(
        counted(vec![JobState::Parked]).await?,
        "job cannot be read by these workers",
        "jobs cannot be read by these workers",
        "/jobs?state=parked",
    );
    let failing = GroupFilter { states: vec![GroupState::Failing], ..GroupFilter::default() };
    let failing = app.queue.groups().list(&failing, None, 100).await?.groups.len() as u64;
    tell(
        failing,
        "group has a failed member and is stopping",
        "groups have failed members and are stopping",
        "/groups?state=failing",
    );
    let paused = queues.iter().filter(|queue| queue.paused && queue.available > 0).count() as u64;
    tell(paused, "paused queue has jobs waiting", "paused queues have jobs waiting", "/queues");
    let idle = queues.iter().filter(|queue| queue.available > 0 && queue.slots == 0).count() as u64;
    tell(idle, "queue has jobs and no worker", "queues have jobs and no worker", "/workers");
    let (stuck, hooks, missed): (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from uploads where state = 'processing' and detail is not null),
                (select count(*) from webhook_endpoints where failing_since is not null or disabled_reason in ('gone', 'failing')),
                (select count(*) from schedule_ticks where cause = 'missed' and created_at > now() - interval '1 day')",
    )
    .fetch_one(&app.pool)
    .await?;
    let count = |n: i64| n.unsigned_abs();
    tell(
        count(stuck),
        "upload does not add up and is not closed",
        "uploads do not add up and are not closed",
        "/uploads?state=processing",
    );
    tell(count(hooks), "webhook fails", "webhooks fail", "/webhooks");
    tell(count(missed), "tick was missed today", "ticks were missed today", "/schedules");
    Ok(found)
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
