//! The last hour, as this process has seen it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gristmill_platform::ids;

use super::{app::App, page::DashboardError};
use crate::health::Readiness;

/// Between two looks at the engines: with the patience of a look, an engine that is back is seen to be within 5 s.
const ENGINES_EVERY: Duration = Duration::from_secs(2);
/// Between two samples.
const EVERY: Duration = Duration::from_secs(5);
/// Samples of an hour.
const SLOTS: usize = 720;
/// Samples of a minute.
pub(super) const A_MINUTE: usize = 12;

/// What was seen. Lost with the process: Prometheus remembers longer.
#[derive(Default)]
pub(super) struct History(Mutex<Window>);

#[derive(Default)]
struct Window {
    /// The oldest first.
    samples: VecDeque<Sample>,
    queues: Vec<String>,
    engines: Option<Arc<Readiness>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) jobs_per_second: f64,
    pub(super) rows_per_second: f64,
    pub(super) backlog: u64,
}

impl History {
    fn seen(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Sample> {
        self.seen().samples.iter().copied().collect()
    }

    /// How many minutes a chart of so many samples covers: it is not left empty after a start.
    pub(super) fn minutes(samples: usize) -> usize {
        samples.div_ceil(A_MINUTE).clamp(1, SLOTS / A_MINUTE)
    }

    /// The names of the queues, as of the last look: to choose from, they need no look of their own.
    pub(super) fn queues(&self) -> Vec<String> {
        self.seen().queues.clone()
    }

    /// How Postgres and Redis were at the last look; none: there was none yet.
    pub(super) fn engines(&self) -> Option<Arc<Readiness>> {
        self.seen().engines.clone()
    }

    /// Redis did not answer at the last look: what only it knows is not known.
    pub(super) fn redis_is_silent(&self) -> bool {
        let engines = self.engines();
        engines.iter().flat_map(|engines| engines.checks()).any(|(name, outcome)| name == "redis" && outcome != "ok")
    }

    /// Which engine it is that keeps a page from being shown, as far as the last look knows.
    pub(super) fn unreachable(&self) -> &'static str {
        let engines = self.engines();
        let mut wrong = engines.iter().flat_map(|engines| engines.checks()).filter(|(_, outcome)| *outcome != "ok");
        match wrong.next() {
            Some(("postgres", _)) => "Postgres is unreachable",
            Some(("redis", _)) => "Redis is unreachable",
            _ => "The database does not answer in time",
        }
    }

    fn push(&self, sample: Sample, queues: Vec<String>) {
        let mut seen = self.seen();
        if seen.samples.len() == SLOTS {
            seen.samples.pop_front();
        }
        seen.samples.push_back(sample);
        seen.queues = queues;
    }
}

/// Looks at the engines, also while a look at the queues waits for one of them.
pub(super) async fn examine(app: App) {
    let mut clock = tokio::time::interval(ENGINES_EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let engines = Arc::new(app.health.examine().await);
        app.history.seen().engines = Some(engines);
    }
}

pub(super) async fn sample(app: App) {
    let mut rows: Option<(Instant, i64)> = None;
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        match look(&app, &mut rows).await {
            Ok((sample, queues)) => app.history.push(sample, queues),
            Err(error) => tracing::warn!(%error, "the dashboard cannot look at the queues"),
        }
    }
}

async fn look(app: &App, last: &mut Option<(Instant, i64)>) -> Result<(Sample, Vec<String>), DashboardError> {
    let queues = app.queue.queues().list().await?;
    let read = rows_read(app).await?;
    let now = Instant::now();
    let rows_per_second = last.replace((now, read)).map_or(0.0, |(then, before)| {
        (read - before).max(0) as f64 / now.duration_since(then).as_secs_f64().max(0.001)
    });
    let sample = Sample {
        jobs_per_second: queues.iter().filter_map(|queue| queue.acked_per_second).sum(),
        rows_per_second,
        backlog: queues.iter().map(|queue| queue.available).sum(),
    };
    Ok((sample, queues.into_iter().map(|queue| queue.name).collect()))
}

/// Of the uploads of the last two days.
async fn rows_read(app: &App) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select coalesce(sum(rows_read), 0)::bigint from upload_progress where upload_id >= $1")
        .bind(ids::younger_than(Duration::from_secs(172_800)))
        .fetch_one(&app.pool)
        .await
}
