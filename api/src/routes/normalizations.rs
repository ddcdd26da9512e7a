//! `/v1/normalizations`: single transactions whose merchant is wanted; answered by webhook, or when asked again.

mod batcher;
mod request;
mod rules;

use axum::{Json, extract::State};
use gristmill_normalization::requests::{self, Request, State as RequestState};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use self::request::NewNormalization;
pub(crate) use self::{
    batcher::{SingleRequest, gathering},
    rules::*,
};
use super::transactions::Merchant;
use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    idempotency::Once,
    json::Body,
    money::Money,
    openapi::{BadTransaction, NotOperator},
    params::{Named, Params, bad_header, text_header},
    problem::{Code, Problem, Result},
};

/// Requests a batch.
const BATCH: usize = 1_000;

/// What the request is called.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Its answer, and its event, name it.
    request_id: Uuid,
}

/// Many transactions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNormalizations {
    /// At most 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<NewNormalization>,
}

/// What the requests are called.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcceptedMany {
    /// In the order of the items.
    items: Vec<Accepted>,
}

/// A page of normalizations, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct NormalizationList {
    items: Vec<Normalization>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A transaction whose merchant was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Normalization {
    request_id: Uuid,
    state: RequestState,
    #[schema(value_type = String, format = Date, example = "2021-04-01")]
    date: jiff::civil::Date,
    #[schema(example = "Payment Netflix APRIL***")]
    description: String,
    amount: Money,
    /// Once it is answered.
    merchant: Option<Merchant>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
}

impl From<Request> for Normalization {
    fn from(request: Request) -> Self {
        let answer = request.answer;
        let merchant = (request.state != RequestState::Queued).then(|| Merchant {
            name: answer.merchant.unwrap_or_else(|| "n/a".to_owned()),
            matched: answer.matched,
            rule_id: answer.rule_id,
            score: answer.score,
            mcc: answer.mcc,
            wikidata_id: answer.wikidata,
        });
        Self {
            request_id: request.id,
            state: request.state,
            date: request.date.to_jiff(),
            description: request.description,
            amount: Money::of(request.amount_minor, request.currency.unwrap_or_else(|| "XXX".to_owned())),
            merchant,
            detail: request.detail,
            created_at: request.created_at.to_jiff(),
            completed_at: request.completed_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}

/// Ask for the merchant of a transaction
///
/// `202`: it will be answered, by the event `normalization.completed` and at `Location`.
#[utoipa::path(post, path = "/v1/normalizations", operation_id = "createNormalization", tag = "normalizations", request_body = NewNormalization,
    responses((status = 202, description = "It will be answered", body = Accepted, headers(("Location" = String, description = "The request"))), BadTransaction))]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<NewNormalization>,
) -> Result<(StatusCode, HeaderMap, Json<Accepted>)> {
    Params::of(&uri).finish()?;
    one_accepted(&app, &caller, &once, &new).await
}

/// Ask for the merchants of up to 1,000 transactions
///
/// All are taken, or none.
#[utoipa::path(post, path = "/v1/normalizations/batch", operation_id = "createNormalizations", tag = "normalizations",
    request_body = NewNormalizations, responses((status = 202, description = "All will be answered", body = AcceptedMany), BadTransaction))]
pub(crate) async fn batch(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<NewNormalizations>,
) -> Result<(StatusCode, Json<AcceptedMany>)> {
    Params::of(&uri).finish()?;
    if new.items.is_empty() || new.items.len() > BATCH {
        let detail = format!("items: {} of them, and 1 to 1,000 are taken at once.", new.items.len());
        return Err(Problem::new(Code::InvalidBody, detail));
    }
    let new = request::check(&new.items)?;
    let mut tx = app.pool.begin().await?;
    let (ids, jobs) = requests::create(&mut tx, &app.queue, caller.id(), &new, Vec::new()).await?;
    let accepted = AcceptedMany { items: ids.into_iter().map(|request_id| Accepted { request_id }).collect() };
    once.keep(&mut tx, StatusCode::ACCEPTED, None, &accepted).await?;
    tx.commit().await?;
    app.queue.push(jobs).await;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// Ask for the merchant of a transaction, as clients of the old API do
///
/// `POST /v1/normalizations` under its old address.
#[utoipa::path(post, path = "/normalize_merchant", operation_id = "normalizeMerchant", tag = "normalizations", request_body = NewNormalization,
    params(("client-id" = String, Header, description = "The number or the name of the client that the key is of")),
    responses((status = 202, description = "It will be answered", body = Accepted, headers(("Location" = String, description = "The request"))), BadTransaction, NotOperator))]
pub(crate) async fn normalize_merchant(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    headers: HeaderMap,
    Body(new): Body<NewNormalization>,
) -> Result<(StatusCode, HeaderMap, Json<Accepted>)> {
    Params::of(&uri).finish()?;
    let name = HeaderName::from_static("client-id");
    let given = text_header(&headers, &name)?.ok_or_else(|| bad_header(&name, "missing: say which client you are"))?;
    if given != caller.name() && given.parse() != Ok(caller.id()) {
        let detail =
            "The header `client-id` names another client than the key is of. Send the key's client, by name or number.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    one_accepted(&app, &caller, &once, &new).await
}

async fn one_accepted(
    app: &AppState,
    caller: &Caller,
    once: &Once,
    new: &NewNormalization,
) -> Result<(StatusCode, HeaderMap, Json<Accepted>)> {
    let mut new = request::check(std::slice::from_ref(new))?;
    let place = |id: Uuid| HeaderValue::try_from(format!("/v1/normalizations/{id}")).map_err(Problem::internal);
    let accepted = if once.is_wanted() {
        // Its answer is part of its transaction, so it has one of its own.
        let mut tx = app.pool.begin().await?;
        let (ids, jobs) = requests::create(&mut tx, &app.queue, caller.id(), &new, Vec::new()).await?;
        let accepted = Accepted { request_id: ids.first().copied().ok_or_else(|| Problem::internal("no request"))? };
        once.keep(&mut tx, StatusCode::ACCEPTED, Some(&place(accepted.request_id)?), &accepted).await?;
        tx.commit().await?;
        app.queue.push(jobs).await;
        accepted
    } else {
        Accepted { request_id: app.normalizing.submit(SingleRequest::here(caller.id(), new.remove(0))).await }
    };
    let location = place(accepted.request_id)?;
    Ok((StatusCode::ACCEPTED, HeaderMap::from_iter([(header::LOCATION, location)]), Json(accepted)))
}

/// How many normalizations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct NormalizationsQuery {
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^n[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Your normalizations
#[utoipa::path(get, path = "/v1/normalizations", operation_id = "listNormalizations", tag = "normalizations", params(NormalizationsQuery),
    responses((status = 200, description = "A page, the newest first", body = NormalizationList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<NormalizationList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let before = query.take::<cursor::Normalizations>("cursor").map(cursor::Normalizations::id);
    query.finish()?;
    let found = requests::list(&app.pool, caller.id(), before, i64::from(limit) + 1).await?;
    let (rows, next_cursor) =
        cursor::Normalizations::page(found, limit, |last| cursor::Normalizations::after_id(last.id));
    Ok(Json(NormalizationList { items: rows.into_iter().map(Normalization::from).collect(), next_cursor }))
}

/// One normalization
#[utoipa::path(get, path = "/v1/normalizations/{id}", operation_id = "getNormalization", tag = "normalizations",
    params(("id" = Uuid, Path, description = "The request")),
    responses((status = 200, description = "The request", body = Normalization)))]
pub(crate) async fn one(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
) -> Result<Json<Normalization>> {
    Params::of(&uri).finish()?;
    let id = name.id("normalization", "/v1/normalizations")?;
    let found = requests::find(&app.pool, id).await?.filter(|found| found.client_id == caller.id());
    found.map(|found| Json(found.into())).ok_or_else(|| {
        Problem::new(Code::NotFound, format!("There is no normalization '{id}'. GET /v1/normalizations lists yours."))
    })
}
