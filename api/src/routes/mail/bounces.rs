use axum::{Json, extract::State};
use gristmill_mail::suppressions::{self, Suppression};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    json::Body,
    openapi::Absent,
    params::Params,
    problem::{Code, FieldError, Problem, Result},
};

/// A mail that came back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBounce {
    /// The address it was sent to.
    #[schema(example = "janet95@example.com")]
    recipient: String,
    kind: BounceKind,
    /// Which mail it was: its header `Message-ID`.
    message_id: Option<String>,
    /// What was said.
    #[schema(example = "550 5.1.1 no such user")]
    reason: Option<String>,
}

/// Whether the address will ever take mail.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BounceKind {
    /// It will not: no more is sent there.
    Hard,
    /// It may.
    Soft,
}

/// What a bounce has led to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bounced {
    /// The mail, where `message_id` names one to this address.
    mail_id: Option<Uuid>,
    /// Whether no more is sent to the address.
    suppressed: bool,
}

/// Report a bounced mail
#[utoipa::path(post, path = "/v1/mail/bounces", operation_id = "reportBounce", tag = "mail", request_body = NewBounce,
    responses((status = 200, description = "Noted", body = Bounced)))]
pub(crate) async fn bounce(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<NewBounce>,
) -> Result<Json<Bounced>> {
    Params::of(&uri).finish()?;
    let recipient = new.recipient.trim().to_owned();
    if !recipient.contains('@') || recipient.len() > 320 || recipient.contains('\0') {
        let error = FieldError { field: "recipient".to_owned(), detail: "is not an address".to_owned() };
        return Err(Problem::new(Code::InvalidBody, "recipient: is not an address.").errors(vec![error]));
    }
    let hard = matches!(new.kind, BounceKind::Hard);
    let reason = new.reason.map(|reason| reason.replace('\0', "").chars().take(1_000).collect());
    let message_id = new.message_id.map(|id| id.replace('\0', ""));
    let bounce = suppressions::Bounce { recipient, hard, message_id, reason };
    let mut tx = app.pool.begin().await?;
    let mail_id = suppressions::bounced(&mut tx, caller.id(), &bounce).await?;
    let bounced = Bounced { mail_id, suppressed: hard };
    once.keep(&mut tx, StatusCode::OK, None, &bounced).await?;
    tx.commit().await?;
    Ok(Json(bounced))
}

/// A page of addresses that your mails do not go to, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressionList {
    items: Vec<Suppression>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct SuppressionsQuery {
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Your suppressed addresses
///
/// Those that a mail server has called unknown, and those of hard bounces.
#[utoipa::path(get, path = "/v1/mail/suppressions", operation_id = "listSuppressions", tag = "mail", params(SuppressionsQuery),
    responses((status = 200, description = "A page", body = SuppressionList)))]
pub(crate) async fn suppressions(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<SuppressionList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take_by("cursor", |text| after(text).ok_or_else(|| crate::cursor::BadCursor.to_string()));
    query.finish()?;
    let after = after.unwrap_or_default();
    let mut items = suppressions::list(&app.pool, caller.id(), &after, i64::from(limit) + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(|last| cursor(&last.address));
    Ok(Json(SuppressionList { items, next_cursor }))
}

/// A cursor is the last address shown, in hexadecimal.
fn cursor(address: &str) -> String {
    address.bytes().fold("a".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn after(cursor: &str) -> Option<String> {
    let digits = cursor.strip_prefix('a')?.as_bytes();
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok();
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Which address.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct LiftQuery {
    /// The address.
    address: String,
}

/// Lift a suppression
///
/// Those that were not sent meanwhile stay unsent.
#[utoipa::path(delete, path = "/v1/mail/suppressions", operation_id = "deleteSuppression", tag = "mail", params(LiftQuery),
    responses((status = 204, description = "Mails go there again"), Absent))]
pub(crate) async fn lift(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<StatusCode> {
    let mut query = Params::of(&uri);
    let address = query.take::<String>("address");
    let address = query.finish_with("address", address, || "missing: which address?".to_owned())?;
    if !suppressions::lift(&app.pool, caller.id(), &address).await? {
        let detail = format!("'{address}' is not suppressed. GET /v1/mail/suppressions lists what is.");
        return Err(Problem::new(Code::NotFound, detail));
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        assert_eq!(after(&cursor("ana@exämple.com")).as_deref(), Some("ana@exämple.com"));
        for bad in ["", "b61", "a6", "a6x", "aff", "a00"] {
            assert!(after(bad).is_none_or(|text| text == "\u{6}"), "{bad}");
        }
    }
}
