//! `/v1/settings`: what a client wants to be known by, and how it bills.

use axum::{Json, extract::State};
use gristmill_billing::{dunning, issue, issuer};
use gristmill_clients::settings;
use gristmill_pipelines::values::{is_address, trim};
use http::Uri;

pub(crate) use gristmill_clients::Settings;

use crate::{
    app::AppState,
    auth::Caller,
    json::Whole,
    openapi::BadSettings,
    params::Params,
    problem::{Code, FieldError, Problem, Result},
};

/// Your settings
#[utoipa::path(get, path = "/v1/settings", operation_id = "getSettings", tag = "settings",
    responses((status = 200, description = "All of them, the defaults where nothing was set", body = Settings)))]
pub(crate) async fn get(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<Settings>> {
    Params::of(&uri).finish()?;
    Ok(Json(settings::find(&app.pool, caller.id()).await?))
}

fn no_address(text: &str) -> String {
    format!("'{text}' is not an address that mail can go to, as billing@example.com is")
}

/// Set your settings
///
/// All of them: what is left out has its default. One at least: `{}` is refused.
#[utoipa::path(put, path = "/v1/settings", operation_id = "putSettings", tag = "settings", request_body = Settings,
    responses((status = 200, description = "As they are now", body = Settings), BadSettings))]
pub(crate) async fn put(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    Whole(new): Whole<Settings>,
) -> Result<Json<Settings>> {
    Params::of(&uri).finish()?;
    let branding = new.branding.clone();
    let looks = tokio::task::spawn_blocking(move || branding.faults()).await.map_err(Problem::internal)?;
    let mut errors: Vec<FieldError> = new
        .faults()
        .into_iter()
        .chain(issuer::faults(&new))
        .map(|fault| FieldError { field: fault.field.to_owned(), detail: fault.detail })
        .collect();
    let mut fail = |field: &str, detail: String| errors.push(FieldError { field: field.to_owned(), detail });
    if let Ok(issuer) = issue::issuer(&new)
        && let Some(address) = issuer.beneficiary.email.filter(|address| !is_address(trim(address)))
    {
        fail("issuer.beneficiary.email", no_address(&address));
    }
    if let Some(address) = new.operator_email.as_deref().filter(|address| !is_address(trim(address))) {
        fail("operator_email", no_address(address));
    }
    // By the rules of the calls: what would be refused then is refused now.
    if let Some(Err(error)) = new.heuristic_url.as_deref().map(|address| app.outbound.check(address)) {
        fail("heuristic_url", error.to_string());
    }
    if let Some(Err(error)) = new.reports_url.as_deref().map(|address| app.outbound.check_with(address, "{id}")) {
        fail("reports_url", error.to_string());
    }
    looks.into_iter().for_each(|(field, detail)| fail(field, detail));
    if let Some(first) = errors.first() {
        let detail = format!("{}: {}.", first.field, first.detail);
        return Err(Problem::new(Code::InvalidSettings, detail).errors(errors));
    }
    let mut tx = app.pool.begin().await?;
    settings::put(&mut *tx, caller.id(), &new).await?;
    dunning::rearrange(&mut tx, caller.id(), &new).await?;
    tx.commit().await?;
    Ok(Json(new))
}
