use axum::extract::State;
use gristmill_billing::{BillId, bills};
use gristmill_board::actions::{Answer, NotDone, Params, done};

use crate::dashboard::app::App;

pub(in crate::dashboard) async fn cancel(State(app): State<App>, Params(id): Params<String>) -> Answer {
    let id: BillId = id.parse().map_err(|_| NotDone::Gone)?;
    match bills::cancel(&app.pool, id).await? {
        true => done("The bill is withdrawn"),
        false => Err(NotDone::Gone),
    }
}
