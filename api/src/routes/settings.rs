//! `/v1/settings`: what a client wants to be known by, and how it bills.

use axum::{Json, extract::State};
use gristmill_billing::{dunning, issue, settings};
use http::Uri;

pub(crate) use gristmill_billing::settings::Settings;

use crate::{
    app::App,
    auth::Caller,
    json::Body,
    openapi::{BadSettings, Denied, Faults, Unreadable},
    params::Params,
    problem::{Code, FieldError, Problem, Result},
};

/// Your settings
#[utoipa::path(get, path = "/v1/settings", tag = "settings", security(("key" = [])),
    responses((status = 200, description = "All of them, the defaults where nothing was set", body = Settings), Denied, Faults))]
pub(crate) async fn get(State(app): State<App>, caller: Caller, uri: Uri) -> Result<Json<Settings>> {
    Params::of(&uri).finish()?;
    Ok(Json(settings::find(&app.receiver.pool, caller.id()).await?))
}

/// Set your settings
///
/// All of them: what is left out has its default.
#[utoipa::path(put, path = "/v1/settings", tag = "settings", request_body = Settings, security(("key" = [])),
    responses((status = 200, description = "As they are now", body = Settings), Unreadable, BadSettings, Denied, Faults))]
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    Body(new): Body<Settings>,
) -> Result<Json<Settings>> {
    Params::of(&uri).finish()?;
    let mut errors: Vec<FieldError> = new
        .faults()
        .into_iter()
        .map(|fault| FieldError { field: fault.field.to_owned(), detail: fault.detail })
        .collect();
    if let Err(error) = issue::issuer(&new) {
        errors.push(FieldError { field: "issuer".to_owned(), detail: error.to_string() });
    }
    if let Some(first) = errors.first() {
        let detail = format!("{}: {}.", first.field, first.detail);
        return Err(Problem::new(Code::InvalidSettings, detail).errors(errors));
    }
    let mut tx = app.receiver.pool.begin().await?;
    settings::put(&mut *tx, caller.id(), &new).await?;
    dunning::rearrange(&mut tx, caller.id(), &new).await?;
    tx.commit().await?;
    Ok(Json(new))
}
