use axum::extract::State;
use gristmill_billing::{BillId, bills};

use super::{
    answer::{Answer, NotDone, done},
    params::Params,
};
use crate::dashboard::app::App;

pub(super) async fn cancel(State(app): State<App>, Params(id): Params<String>) -> Answer {
    let id: BillId = id.parse().map_err(|_| NotDone::Gone)?;
    match bills::cancel(&app.pool, id).await? {
        true => done("The bill is withdrawn"),
        false => Err(NotDone::Gone),
    }
}
