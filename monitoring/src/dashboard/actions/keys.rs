use axum::extract::State;
use gristmill_platform::keys;

use super::{
    answer::{Answer, NotDone, done},
    params::Params,
};
use crate::dashboard::app::App;

pub(super) async fn revoke(State(app): State<App>, Params(id): Params<String>) -> Answer {
    match keys::revoke(&app.pool, &id).await? {
        0 => Err(NotDone::Gone),
        _ => done("The key works no more"),
    }
}
