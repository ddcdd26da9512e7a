//! `/v1/mail`: what was sent to whom, and what became of it.

mod bounces;
mod resend;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use gristmill_mail::{Kind, State as MailState, eml as kept, read};
use http::{HeaderValue, Uri, header};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    params::Params,
    problem::{Code, Problem, Result},
};

// The documentation macros make an item beside each handler.
pub(crate) use bounces::*;
pub(crate) use resend::*;

/// A page of mails, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct MailList {
    items: Vec<read::Mail>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A mail with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct MailText {
    #[serde(flatten)]
    mail: read::Mail,
    /// Its plain text; null: it was not kept.
    text: Option<String>,
}

/// Which mails, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct MailQuery {
    /// Only mails of this kind.
    kind: Option<Kind>,
    /// Only mails in this state.
    state: Option<MailState>,
    /// Only mails to this address.
    recipient: Option<String>,
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^m[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Your mails, newest first
#[utoipa::path(get, path = "/v1/mail", operation_id = "listMails", tag = "mail", params(MailQuery),
    responses((status = 200, description = "A page", body = MailList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<MailList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let filter = read::Filter {
        kind: query.take("kind"),
        state: query.take("state"),
        recipient: query.take("recipient"),
        before: query.take::<cursor::Mails>("cursor").map(cursor::Mails::id),
        limit: limit + 1,
    };
    query.finish()?;
    let found = read::list(&app.pool, caller.id(), &filter).await?;
    let (items, next_cursor) = cursor::Mails::page(found, limit, |last| cursor::Mails::after_id(last.id));
    Ok(Json(MailList { items, next_cursor }))
}

/// One mail, and its text where it was kept
#[utoipa::path(get, path = "/v1/mail/{id}", operation_id = "getMail", tag = "mail", params(("id" = Uuid, Path, description = "The mail")),
    responses((status = 200, description = "The mail", body = MailText)))]
pub(crate) async fn one(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<MailText>> {
    Params::of(&uri).finish()?;
    let (mail, text) = find(&app, &caller, &id).await?;
    Ok(Json(MailText { mail, text }))
}

/// One mail as it was sent, with everything attached
///
/// Mails are kept when there is no mail server, or when the server's setting says so.
#[utoipa::path(get, path = "/v1/mail/{id}/eml", operation_id = "getMailFile", tag = "mail", params(("id" = Uuid, Path, description = "The mail")),
    responses((status = 200, description = "The mail", content_type = "message/rfc822", body = Vec<u8>)))]
pub(crate) async fn eml(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response> {
    Params::of(&uri).finish()?;
    let (mail, _) = find(&app, &caller, &id).await?;
    let gone = || Problem::new(Code::NotFound, "The mail was not kept: GRISTMILL_MAIL_KEEP is not set on the worker.");
    let raw = kept(&*app.uploads.store, mail.id).await.map_err(Problem::unavailable)?.ok_or_else(gone)?;
    let name = format!("attachment; filename=\"{}.eml\"", mail.id);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("message/rfc822")),
        (header::CONTENT_DISPOSITION, HeaderValue::try_from(name).map_err(Problem::internal)?),
    ];
    Ok((headers, raw).into_response())
}

/// The client's mail; another client's is not there.
async fn find(app: &AppState, caller: &Caller, id: &str) -> Result<(read::Mail, Option<String>)> {
    let parsed: Uuid = id.parse().map_err(|_| none(id))?;
    read::find(&app.pool, caller.id(), parsed).await?.ok_or_else(|| none(id))
}

fn none(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no mail '{id}'. GET /v1/mail lists yours."))
}
