//! Queues: how they stand, and the brakes.

use askama::Template;
use gristmill_queue::{JobFilter, JobState, QueueView};

use crate::{Error, board::App, format, frame::PageBody, visit::Visit};

#[derive(Template)]
#[template(path = "queues.html")]
struct Page<'a> {
    visit: &'a Visit,
    /// With how many of its jobs are dead, and what its fair keys are.
    queues: Vec<(QueueView, u64, String)>,
    /// What runs, and which queues only workers know, is not known.
    silent: bool,
}

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let mut queues = Vec::new();
    for queue in app.queue.queues().list().await? {
        let dead = JobFilter { states: vec![JobState::Dead], queue: Some(queue.name.clone()), ..JobFilter::default() };
        let dead = app.queue.jobs().count_within(&dead, std::time::Duration::from_millis(5)).await?.jobs;
        let key = app.owners.fair_key_of(&queue.name).to_owned();
        queues.push((queue, dead, key));
    }
    let silent = app.history.broker_is_silent() || queues.iter().any(|(queue, ..)| queue.running.is_none());
    PageBody::of("Queues", &Page { visit, queues, silent })
}

#[derive(Template)]
#[template(path = "queue.html")]
struct One<'a> {
    visit: &'a Visit,
    queue: QueueView,
    /// What the limit by fair key is called.
    limit_by_key: String,
}

pub(super) async fn one(app: &App, visit: &Visit, name: &str) -> Result<Option<PageBody>, Error> {
    let known = app.queue.queues().list().await?.into_iter().find(|queue| queue.name == name);
    if known.is_none() && app.history.broker_is_silent() {
        return Err(format!("{} does not say which queues its workers serve", visit.broker).into());
    }
    let limit_by_key = format!("Per-{} limit", app.owners.fair_key_of(name));
    known.map_or(Ok(None), |queue| PageBody::of(format!("Queue {name}"), &One { visit, queue, limit_by_key }))
}
