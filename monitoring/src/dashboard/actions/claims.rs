use axum::extract::State;
use gristmill_board::actions::{Answer, NotDone, Params, done};
use gristmill_core::ClientId;
use uuid::Uuid;

use crate::dashboard::app::App;

pub(in crate::dashboard) async fn void(
    State(app): State<App>,
    Params((client, id)): Params<(ClientId, Uuid)>,
) -> Answer {
    let mut tx = app.pool.begin().await?;
    if !gristmill_claims::void::of_client(&mut tx, client, id).await? {
        return Err(NotDone::Gone);
    }
    tx.commit().await?;
    done("The claim is void")
}
