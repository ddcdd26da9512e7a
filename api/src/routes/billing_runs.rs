//! `/v1/billing-runs`: wanted, looked at, approved, cancelled.

use axum::{
    Json,
    extract::{Path, State},
};
use gristmill_billing::runs::{self, Cause, Run as Row, State as RunState};
use gristmill_queue::Enqueued;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    idempotency::Once,
    json::Options,
    money::Sum,
    openapi::{NotWaiting, Over},
    params::Params,
    problem::{Code, Problem, Result},
};

/// A page of billing runs, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct BillingRunList {
    items: Vec<BillingRun>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A billing run.
#[derive(Serialize, ToSchema)]
pub(crate) struct BillingRun {
    id: Uuid,
    state: RunState,
    cause: Cause,
    /// It only says what it would do.
    dry_run: bool,
    /// Why it is held, was cancelled or failed, and what of its bills was not announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The date its bills have.
    #[schema(value_type = Option<String>, format = Date)]
    issued_on: Option<Date>,
    /// Debts due up to here are billed.
    #[schema(value_type = Option<String>, format = Date)]
    cutoff: Option<Date>,
    /// Debts of the uploads it looks at: no more bills than that will come.
    planned: Option<i64>,
    /// How many bills it made; of a dry run, would make.
    bills: i64,
    /// What they come to.
    amount: Sum,
    /// How many of its bills nothing can carry, such as a boleto of more than 99,999,999.99 where there is no PIX key; once the
    /// run has ended; of a dry run, could carry. Nobody is mailed about them; `not_payable` of each says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    unpayable: Option<i64>,
    /// How many of its bills are mailed to their payers, once it is completed. Without a mail server it is the first 1,000
    /// at most, which are kept to be looked at; with one it is none as long as `issuer` is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    mails: Option<i64>,
    /// Of a dry run: the first bills there would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<serde_json::Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl From<Row> for BillingRun {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            state: row.state,
            cause: row.cause,
            dry_run: row.dry_run,
            detail: row.detail,
            issued_on: row.issued_on.map(jiff_sqlx::Date::to_jiff),
            cutoff: row.cutoff.map(jiff_sqlx::Date::to_jiff),
            planned: row.planned,
            bills: row.bills,
            amount: Sum::of(row.amount_minor.0, row.currency),
            unpayable: row.unpayable,
            mails: row.mails,
            sample: row.sample,
            created_at: row.created_at.to_jiff(),
            started_at: row.started_at.map(jiff_sqlx::Timestamp::to_jiff),
            finished_at: row.finished_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}

/// What is wanted of a run.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NewBillingRun {
    /// Only say what it would do: how many bills, how much, how many of them nothing could carry, and the first of them.
    dry_run: bool,
}

/// How many runs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct RunsQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^B[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Your billing runs
#[utoipa::path(get, path = "/v1/billing-runs", operation_id = "listBillingRuns", tag = "bills", params(RunsQuery),
    responses((status = 200, description = "A page of runs, the newest first", body = BillingRunList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<BillingRunList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let before = query.take::<cursor::BillingRuns>("cursor").map(cursor::BillingRuns::id);
    query.finish()?;
    let found = runs::list(&app.pool, caller.id(), before, limit + 1).await?;
    let (rows, next_cursor) = cursor::BillingRuns::page(found, limit, |last| cursor::BillingRuns::after_id(last.id));
    Ok(Json(BillingRunList { items: rows.into_iter().map(BillingRun::from).collect(), next_cursor }))
}

/// Bill all that can be billed now
///
/// Of all completed uploads, whenever they closed; a run under way is waited for. With `dry_run` nothing is billed.
#[utoipa::path(post, path = "/v1/billing-runs", operation_id = "createBillingRun", tag = "bills", request_body = NewBillingRun,
    responses((status = 202, description = "The run begins", body = BillingRun)))]
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Options(new): Options<NewBillingRun>,
) -> Result<(StatusCode, HeaderMap, Json<BillingRun>)> {
    Params::of(&uri).finish()?;
    let mut tx = app.pool.begin().await?;
    let (run, jobs) = runs::create(&mut tx, &app.queue, caller.id(), Cause::Request, new.dry_run, 0).await?;
    done(&app, tx, once, run, jobs).await
}

/// One billing run
#[utoipa::path(get, path = "/v1/billing-runs/{id}", operation_id = "getBillingRun", tag = "bills",
    params(("id" = Uuid, Path, description = "The run")), responses((status = 200, description = "The run", body = BillingRun)))]
pub(crate) async fn one(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<BillingRun>> {
    Params::of(&uri).finish()?;
    Ok(Json(find(&app, &caller, &id).await?.into()))
}

/// Approve a held run
#[utoipa::path(post, path = "/v1/billing-runs/{id}/approve", operation_id = "approveBillingRun", tag = "bills",
    params(("id" = Uuid, Path, description = "The run")), responses((status = 202, description = "It goes on", body = BillingRun), NotWaiting))]
pub(crate) async fn approve(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    once: Once,
    uri: Uri,
) -> Result<(StatusCode, HeaderMap, Json<BillingRun>)> {
    Params::of(&uri).finish()?;
    let run = find(&app, &caller, &id).await?;
    let mut tx = app.pool.begin().await?;
    let jobs = runs::approve(&mut tx, &app.queue, caller.id(), run.id).await?;
    let refused = || Problem::new(Code::NotHeld, "The run does not wait for an approval.");
    done(&app, tx, once, run, jobs.ok_or_else(refused)?).await
}

/// Stop a run
///
/// What it has billed stays billed, and is mailed. What it has not is left to a run that you ask for by
/// `POST /v1/billing-runs`: the schedule does not begin it again.
#[utoipa::path(delete, path = "/v1/billing-runs/{id}", operation_id = "cancelBillingRun", tag = "bills",
    params(("id" = Uuid, Path, description = "The run")), responses((status = 202, description = "It is stopped", body = BillingRun), Over))]
pub(crate) async fn cancel(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<(StatusCode, HeaderMap, Json<BillingRun>)> {
    Params::of(&uri).finish()?;
    let run = find(&app, &caller, &id).await?;
    let mut tx = app.pool.begin().await?;
    let jobs = runs::cancel(&mut tx, &app.queue, caller.id(), run.id).await?;
    let refused = || Problem::new(Code::RunOver, "The run has ended: there is nothing left to stop.");
    done(&app, tx, Once::default(), run, jobs.ok_or_else(refused)?).await
}

/// What was done to a run takes effect; the answer is the run as it is then.
async fn done(
    app: &AppState,
    mut tx: Transaction<'_, Postgres>,
    once: Once,
    run: Row,
    jobs: Enqueued,
) -> Result<(StatusCode, HeaderMap, Json<BillingRun>)> {
    let now = runs::find(&mut *tx, run.client_id, run.id).await?.unwrap_or(run);
    let location = HeaderValue::try_from(format!("/v1/billing-runs/{}", now.id)).map_err(Problem::internal)?;
    let run = BillingRun::from(now);
    once.keep(&mut tx, StatusCode::ACCEPTED, Some(&location), &run).await?;
    tx.commit().await?;
    app.queue.push(jobs).await;
    Ok((StatusCode::ACCEPTED, HeaderMap::from_iter([(header::LOCATION, location)]), Json(run)))
}

async fn find(app: &AppState, caller: &Caller, id: &str) -> Result<Row> {
    let none =
        || Problem::new(Code::NotFound, format!("There is no billing run '{id}'. GET /v1/billing-runs lists yours."));
    let run_id: Uuid = id.parse().map_err(|_| none())?;
    runs::find(&app.pool, caller.id(), run_id).await?.ok_or_else(none)
}
