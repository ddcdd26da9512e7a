use axum::extract::State;
use gristmill_queue::GroupId;

use super::{
    answer::{Answer, NotDone, done},
    params::Params,
};
use crate::{board::App, format};

pub(super) async fn cancel(State(app): State<App>, Params(id): Params<GroupId>) -> Answer {
    // Its end is more than the end of its jobs, here and below.
    if let Some(owner) = app.owners.needs_group(id).await.map_err(NotDone::Failed)? {
        return Err(NotDone::needed("group", &owner));
    }
    let mut tx = app.queue.pool().begin().await?;
    if app.queue.groups().get_in(&mut tx, id).await?.is_none() {
        return Err(NotDone::Gone);
    }
    let jobs = app.queue.cancel_group(&mut tx, id).await?;
    tx.commit().await?;
    done(format!("The group is cancelled, with {} jobs", format::count(jobs)))
}

pub(super) async fn retry(State(app): State<App>, Params(id): Params<GroupId>) -> Answer {
    if app.owners.needs_group(id).await.map_err(NotDone::Failed)?.is_some() {
        return Err(NotDone::Gone);
    }
    let mut tx = app.queue.pool().begin().await?;
    let jobs = app.queue.retry_group(&mut tx, id).await?;
    if jobs.is_empty() {
        return Err(NotDone::Gone);
    }
    tx.commit().await?;
    let many = jobs.ids().len() as u64;
    app.queue.push(jobs).await;
    done(format!("{} failed members run again", format::count(many)))
}
