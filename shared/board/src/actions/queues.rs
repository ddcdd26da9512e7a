use std::str::FromStr;

use axum::extract::State;
use gristmill_queue::{Limits, LimitsError};

use super::{
    answer::{Answer, NotDone, done},
    form::Form,
    params::Params,
};
use crate::board::App;

pub(super) async fn pause(State(app): State<App>, Params(name): Params<String>) -> Answer {
    exists(&app, &name).await?;
    app.queue.queues().pause(&name).await?;
    done(format!("Queue {name}: paused"))
}

pub(super) async fn resume(State(app): State<App>, Params(name): Params<String>) -> Answer {
    exists(&app, &name).await?;
    app.queue.queues().resume(&name).await?;
    done(format!("Queue {name}: resumed"))
}

pub(super) async fn drain(State(app): State<App>, Params(name): Params<String>) -> Answer {
    exists(&app, &name).await?;
    app.queue.queues().drain(&name).await?;
    done(format!("Queue {name}: drains, then pauses"))
}

/// Sets all limits of a queue: what is left empty is none.
pub(super) async fn set_limits(State(app): State<App>, Params(name): Params<String>, form: Form) -> Answer {
    exists(&app, &name).await?;
    let limits = Limits {
        concurrency: limit(&form, "concurrency")?,
        rate_per_second: limit(&form, "rate_per_second")?,
        burst: limit(&form, "burst")?,
        key_concurrency: limit(&form, "key_concurrency")?,
    };
    match app.queue.queues().set_limits(&name, &limits).await {
        Ok(_) => done(format!("The queue {name} has these limits within a second")),
        Err(LimitsError::Queue(error)) => Err(error.into()),
        Err(error) => Err(NotDone::Refused(error.to_string())),
    }
}

/// A limit, unless its field is empty or not there.
pub(super) fn limit<T: FromStr>(form: &Form, field: &str) -> Result<Option<T>, NotDone> {
    let text = form.get(field).unwrap_or("").trim();
    if text.is_empty() {
        return Ok(None);
    }
    let refused = |_| NotDone::Refused(format!("`{field}` cannot be {text}: the limits stay as they were"));
    text.parse().map(Some).map_err(refused)
}

/// A typo makes no queue.
async fn exists(app: &App, name: &str) -> Result<(), NotDone> {
    if app.owners.queues().iter().any(|known| known == name) || app.queue.queues().is_known(name).await? {
        Ok(())
    } else {
        Err(NotDone::Gone)
    }
}
