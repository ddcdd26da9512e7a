//! Who works, and on what.

use std::time::Duration;

use askama::Template;
use gristmill_queue::WorkerView;

use crate::{Error, board::App, format, frame::PageBody, visit::Visit};

#[derive(Template)]
#[template(path = "workers.html")]
struct Page<'a> {
    visit: &'a Visit,
    /// None: the broker does not answer.
    workers: Option<Vec<(WorkerView, Sum)>>,
    when_empty: String,
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

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = tokio::time::timeout(BROKER_TIMEOUT, app.queue.workers()).await;
    let workers = asked.ok().and_then(Result::ok).map(|workers| workers.into_iter().map(summed).collect());
    PageBody::of("Workers", &Page { visit, workers, when_empty: app.when_empty("workers") })
}

/// How long the broker may take to say who works.
const BROKER_TIMEOUT: Duration = Duration::from_secs(1);

/// Whole steps: a page that differs is sent.
fn summed(mut worker: WorkerView) -> (WorkerView, Sum) {
    worker.memory_bytes = worker.memory_bytes.map(|bytes| bytes / 1_000_000 * 1_000_000);
    worker.cpu = worker.cpu.map(|cpu| (cpu * 10.0).round() / 10.0);
    let sum = Sum::of(&worker);
    (worker, sum)
}
