//! `/v1/claims`: what lines of files, or requests, add up to, and how its payment stands.

mod request;
mod top;

use axum::{Json, extract::State};
use gristmill_claims::{
    CURRENCY,
    claims::{self, Filter, State as ClaimState},
    enter,
};
use gristmill_clients::settings;
use gristmill_uploads::UploadId;
use http::{HeaderValue, StatusCode, Uri, header};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use self::request::NewClaim;
pub(crate) use self::top::*;
use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    idempotency::Once,
    json::Body,
    money::Money,
    openapi::BadClaim,
    params::{Named, Params},
    problem::{Problem, Result},
};

/// A page of claims, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClaimList {
    items: Vec<Claim>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A claim.
#[derive(Serialize, ToSchema)]
pub(crate) struct Claim {
    id: Uuid,
    /// The upload it came with; null when it came by itself.
    #[schema(value_type = Option<Uuid>)]
    upload_id: Option<UploadId>,
    #[schema(example = "3730189502")]
    subscriber: String,
    #[schema(example = "1497775530")]
    provider_npi: String,
    #[schema(value_type = String, format = Date, example = "2018-03-28")]
    service_date: Date,
    /// How many lines it has.
    #[schema(example = 4)]
    line_count: i64,
    /// Provider's fees + coinsurance + copay − allowed fees, over its lines; may be negative.
    net_fee: Money,
    payment: Payment,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// How a claim's payment stands.
#[derive(Serialize, ToSchema)]
#[schema(as = ClaimPayment)]
pub(crate) struct Payment {
    state: ClaimState,
    /// Why it is not posted yet, when that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// A claim with its lines.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholeClaim {
    #[serde(flatten)]
    claim: Claim,
    /// In the order of its file, or of the request.
    lines: Vec<Line>,
}

/// A line of a claim.
#[derive(Serialize, ToSchema)]
pub(crate) struct Line {
    /// In the upload's file; of a claim that came by itself, in the request, from 1.
    line: i64,
    #[schema(example = "D4211")]
    procedure: String,
    #[schema(example = "UR")]
    quadrant: Option<String>,
    #[schema(example = "GRP-1000")]
    plan_group: String,
    provider_fees: Money,
    allowed_fees: Money,
    member_coinsurance: Money,
    member_copay: Money,
    net_fee: Money,
}

impl From<claims::Claim> for Claim {
    fn from(row: claims::Claim) -> Self {
        Self {
            id: row.id,
            upload_id: row.upload_id,
            subscriber: row.subscriber,
            provider_npi: row.provider_npi,
            service_date: row.service_date.to_jiff(),
            line_count: row.lines,
            net_fee: Money::of(row.net_fee_minor, CURRENCY),
            payment: Payment { state: row.state, detail: row.detail },
            created_at: row.created_at.to_jiff(),
        }
    }
}

impl From<claims::Line> for Line {
    fn from(row: claims::Line) -> Self {
        Self {
            line: row.line,
            procedure: row.procedure_code,
            quadrant: row.quadrant,
            plan_group: row.plan_group,
            provider_fees: Money::of(row.provider_fees_minor, CURRENCY),
            allowed_fees: Money::of(row.allowed_fees_minor, CURRENCY),
            member_coinsurance: Money::of(row.coinsurance_minor, CURRENCY),
            member_copay: Money::of(row.copay_minor, CURRENCY),
            net_fee: Money::of(row.net_fee_minor, CURRENCY),
        }
    }
}

/// Which claims, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct ClaimsQuery {
    /// Only those that came with this upload.
    upload_id: Option<Uuid>,
    /// Only those of this provider.
    provider: Option<String>,
    /// Only those of this member.
    subscriber: Option<String>,
    /// Only those of this day or later.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Date>,
    /// Only those of this day or earlier.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
    /// Only those whose payment stands like this.
    state: Option<ClaimState>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^c[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Your claims
///
/// Those that came by themselves, and those of completed uploads.
#[utoipa::path(get, path = "/v1/claims", operation_id = "listClaims", tag = "claims", params(ClaimsQuery),
    responses((status = 200, description = "A page of claims, the newest first", body = ClaimList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<ClaimList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let filter = Filter {
        upload_id: query.id("upload_id"),
        provider: query.take("provider"),
        subscriber: query.take("subscriber"),
        from: query.day("from"),
        to: query.day("to"),
        state: query.take("state"),
    };
    let before = query.take::<cursor::Claims>("cursor").map(cursor::Claims::id);
    query.finish()?;
    let found = claims::list(&app.pool, caller.id(), &filter, before, limit + 1).await?;
    let (rows, next_cursor) = cursor::Claims::page(found, limit, |last| cursor::Claims::after_id(last.id));
    Ok(Json(ClaimList { items: rows.into_iter().map(Claim::from).collect(), next_cursor }))
}

/// Enter a claim
///
/// With all its lines or not at all. It is paid as soon as a worker gets to it.
#[utoipa::path(post, path = "/v1/claims", operation_id = "createClaim", tag = "claims", request_body = NewClaim,
    responses((status = 201, description = "It is entered, and will be paid", body = WholeClaim, headers(("Location", description = "The claim"))), BadClaim))]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(given): Body<NewClaim>,
) -> Result<(StatusCode, [(header::HeaderName, HeaderValue); 1], Json<WholeClaim>)> {
    Params::of(&uri).finish()?;
    let pool = &app.pool;
    let settings = settings::find(pool, caller.id()).await?;
    let new = given.checked(&settings.claims_of(Timestamp::now()).map_err(Problem::internal)?)?;
    let mut tx = pool.begin().await?;
    let (id, jobs) = enter::single(&mut tx, &app.queue, caller.id(), &new).await?;
    let location = HeaderValue::try_from(format!("/v1/claims/{id}")).map_err(Problem::internal)?;
    let claim = whole(&mut tx, &caller, id).await?;
    once.keep(&mut tx, StatusCode::CREATED, Some(&location), &claim).await?;
    tx.commit().await?;
    app.queue.push(jobs).await;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(claim)))
}

/// One claim, with its lines
#[utoipa::path(get, path = "/v1/claims/{id}", operation_id = "getClaim", tag = "claims", params(("id" = Uuid, Path, description = "The claim")),
    responses((status = 200, description = "The claim", body = WholeClaim)))]
pub(crate) async fn one(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
) -> Result<Json<WholeClaim>> {
    Params::of(&uri).finish()?;
    let id = name.id("claim", LIST)?;
    Ok(Json(whole(&mut *app.pool.acquire().await?, &caller, id).await?))
}

/// Void a claim
///
/// It does not count any more; what was posted for it is taken back by counter-entries. A claim that is void stays so.
#[utoipa::path(post, path = "/v1/claims/{id}/void", operation_id = "voidClaim", tag = "claims",
    params(("id" = Uuid, Path, description = "The claim")), responses((status = 200, description = "It is void", body = WholeClaim)))]
pub(crate) async fn void(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    once: Once,
    uri: Uri,
) -> Result<Json<WholeClaim>> {
    Params::of(&uri).finish()?;
    let id = name.id("claim", LIST)?;
    let mut tx = app.pool.begin().await?;
    if !gristmill_claims::void::of_client(&mut tx, caller.id(), id).await? {
        return Err(none(id));
    }
    let claim = whole(&mut tx, &caller, id).await?;
    once.keep(&mut tx, StatusCode::OK, None, &claim).await?;
    tx.commit().await?;
    Ok(Json(claim))
}

/// Where claims are listed.
const LIST: &str = "/v1/claims";

async fn whole(conn: &mut PgConnection, caller: &Caller, id: Uuid) -> Result<WholeClaim> {
    let claim = claims::find(&mut *conn, caller.id(), id).await?.ok_or_else(|| none(id))?;
    let lines = claims::lines(conn, id).await?;
    Ok(WholeClaim { claim: claim.into(), lines: lines.into_iter().map(Line::from).collect() })
}

fn none(id: Uuid) -> Problem {
    Problem::not_found("claim", id, LIST)
}
