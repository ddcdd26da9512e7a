use axum::extract::State;
use gristmill_board::actions::{Answer, NotDone, Params, done};
use gristmill_platform::keys;

use crate::dashboard::app::App;

pub(in crate::dashboard) async fn revoke(State(app): State<App>, Params(id): Params<String>) -> Answer {
    match keys::revoke(&app.pool, &id).await? {
        0 => Err(NotDone::Gone),
        _ => done("The key works no more"),
    }
}
