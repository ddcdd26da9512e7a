use axum::extract::State;
use gristmill_board::actions::{Answer, NotDone, Params, done};
use gristmill_core::ClientId;
use gristmill_uploads::{RemoveError, RemoveOutcome, UploadId};

use crate::dashboard::app::App;

/// Cancels an upload, or undoes it: which of the two, its state says.
pub(in crate::dashboard) async fn remove(State(app): State<App>, Params(id): Params<UploadId>) -> Answer {
    let owner: Option<ClientId> =
        sqlx::query_scalar("select client_id from uploads where id = $1").bind(id).fetch_optional(&app.pool).await?;
    let Some(owner) = owner else { return Err(NotDone::Gone) };
    match app.uploads.remove(owner, id).await {
        Ok(RemoveOutcome::Cancelled(_)) => done("The upload is cancelled"),
        Ok(RemoveOutcome::Undone(_)) => done("The upload is undone: its rows are being removed"),
        Err(RemoveError::NotFound) => Err(NotDone::Gone),
        Err(
            error @ (RemoveError::Over { .. }
            | RemoveError::Billed
            | RemoveError::ReplacedAreBilled
            | RemoveError::RowsDropped),
        ) => Err(NotDone::Refused(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
