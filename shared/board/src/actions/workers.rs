use axum::extract::State;
use uuid::Uuid;

use super::{
    answer::{Answer, NotDone, done},
    params::Params,
};
use crate::board::App;

pub(super) async fn drain(State(app): State<App>, Params(id): Params<Uuid>) -> Answer {
    match app.queue.drain_worker(id).await? {
        true => done("The worker finishes what it has and takes no more"),
        false => Err(NotDone::Gone),
    }
}
