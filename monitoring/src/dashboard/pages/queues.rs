//! Queues: how they stand, and the brakes.

use askama::Template;
use gristmill_queue::{JobFilter, JobState, QueueView};

use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody},
};

#[derive(Template)]
#[template(path = "queues.html")]
struct Page {
    queues: Vec<(QueueView, u64)>,
    /// What runs, and which queues only workers know, is not known.
    silent: bool,
    operator: bool,
}

pub(super) async fn page(app: &App, operator: bool) -> Result<Option<PageBody>, DashboardError> {
    let mut queues = Vec::new();
    for queue in app.queue.queues().list().await? {
        let dead = JobFilter { states: vec![JobState::Dead], queue: Some(queue.name.clone()), ..JobFilter::default() };
        let dead = app.queue.jobs().count_within(&dead, std::time::Duration::from_millis(5)).await?.jobs;
        queues.push((queue, dead));
    }
    let silent = app.history.redis_is_silent() || queues.iter().any(|(queue, _)| queue.running.is_none());
    PageBody::of("Queues", &Page { queues, silent, operator })
}

#[derive(Template)]
#[template(path = "queue.html")]
struct One {
    queue: QueueView,
    operator: bool,
}

impl One {
    /// What the limit by key is called.
    fn limit_by_key(&self) -> String {
        format!("Per-{} limit", format::sharer(&self.queue.name))
    }
}

pub(super) async fn one(app: &App, operator: bool, name: &str) -> Result<Option<PageBody>, DashboardError> {
    let known = app.queue.queues().list().await?.into_iter().find(|queue| queue.name == name);
    if known.is_none() && app.history.redis_is_silent() {
        return Err("Redis does not say which queues its workers serve".into());
    }
    known.map_or(Ok(None), |queue| PageBody::of(format!("Queue {name}"), &One { queue, operator }))
}
