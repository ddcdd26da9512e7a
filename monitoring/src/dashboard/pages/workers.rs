//! Who works, and on what.

use std::time::Duration;

use askama::Template;
use gristmill_queue::WorkerView;

use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody},
};

#[derive(Template)]
#[template(path = "workers.html")]
struct Page {
    /// None: Redis does not answer.
    workers: Option<Vec<(WorkerView, Sum)>>,
    operator: bool,
}

/// What the lines of a worker come to.
struct Sum {
    held: usize,
    slots: usize,
    /// Its leases are not renewed as they should be.
    stale: bool,
}

impl Sum {
    fn of(worker: &WorkerView) -> Self {
        Self {
            held: worker.lines.iter().map(|line| line.held).sum(),
            slots: worker.lines.iter().map(|line| line.concurrency).sum(),
            stale: worker.lines.iter().any(|line| line.lease_age_ms > 5_000),
        }
    }
}

pub(super) async fn page(app: &App, operator: bool) -> Result<Option<PageBody>, DashboardError> {
    let asked = tokio::time::timeout(REDIS_TIMEOUT, app.queue.workers()).await;
    let workers = asked.ok().and_then(Result::ok).map(|workers| workers.into_iter().map(summed).collect());
    PageBody::of("Workers", &Page { workers, operator })
}

/// How long Redis may take to say who works.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);

/// Whole steps: a page that differs is sent.
fn summed(mut worker: WorkerView) -> (WorkerView, Sum) {
    worker.memory_bytes = worker.memory_bytes.map(|bytes| bytes / 1_000_000 * 1_000_000);
    worker.cpu = worker.cpu.map(|cpu| (cpu * 10.0).round() / 10.0);
    let sum = Sum::of(&worker);
    (worker, sum)
}
