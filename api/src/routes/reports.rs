//! `/v1/reports`: what messages cost that name one.

mod request;

use axum::{Json, extract::State};
use gristmill_core::ClientId;
use gristmill_pipelines::messages::Credits;
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor, PgPool};
use utoipa::{IntoParams, ToSchema};

use self::request::{NewReport, ReportPrice, check, check_one};
use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    idempotency::Once,
    json::Body,
    openapi::BadReport,
    params::{Named, Params},
    problem::{Code, Problem, Result},
};

/// A page of reports, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReportList {
    items: Vec<Report>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A report, and what a message costs that names it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Report {
    #[schema(example = "5392")]
    id: String,
    #[schema(example = "Tenant Obligations Report")]
    name: String,
    /// In credits.
    #[schema(value_type = f64, example = 79.5)]
    credit_cost: Credits,
    /// `client`: you put it here; `upstream`: what your `reports_url` said.
    #[schema(example = "client")]
    source: String,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    credit_cost: i64,
    source: String,
    updated_at: jiff_sqlx::Timestamp,
}

impl From<Row> for Report {
    fn from(row: Row) -> Self {
        let Row { id, name, credit_cost, source, updated_at } = row;
        Self { id, name, credit_cost: Credits::from_twentieths(credit_cost), source, updated_at: updated_at.to_jiff() }
    }
}

/// What a report is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutReport {
    /// At most 200 characters.
    #[schema(example = "Tenant Obligations Report")]
    name: String,
    /// In credits, a multiple of 0.05.
    #[schema(value_type = f64, example = 79.5)]
    credit_cost: serde_json::Value,
}

/// Reports to put all at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportBatch {
    /// From 1 to 10,000, of different ids.
    #[schema(min_items = 1, max_items = 10_000)]
    items: Vec<NewReport>,
}

/// How many were put.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReportsPut {
    #[schema(example = 120)]
    put: usize,
}

/// How many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct ReportsQuery {
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^R([0-9a-fA-F]{2})*$")]
    cursor: Option<String>,
}

/// Your reports, by id
///
/// Those that you put here, and what your `reports_url` said of others.
#[utoipa::path(get, path = "/v1/reports", operation_id = "listReports", tag = "usage", params(ReportsQuery),
    responses((status = 200, description = "A page", body = ReportList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<ReportList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take::<cursor::Reports>("cursor").map(cursor::Reports::text);
    query.finish()?;
    let found: Vec<Row> = sqlx::query_as(
        "select id, name, credit_cost, source, updated_at from reports
         where client_id = $1 and name is not null and id > $2 order by id limit $3",
    )
    .bind(caller.id())
    .bind(after.unwrap_or_default())
    .bind(i64::from(limit) + 1)
    .fetch_all(&app.pool)
    .await?;
    let (rows, next_cursor) = cursor::page(found, limit, |last| cursor::Reports::after(last.id.clone()));
    Ok(Json(ReportList { items: rows.into_iter().map(Report::from).collect(), next_cursor }))
}

/// One report
#[utoipa::path(get, path = "/v1/reports/{id}", operation_id = "getReport", tag = "usage", params(("id" = String, Path, description = "The report")),
    responses((status = 200, description = "The report", body = Report)))]
pub(crate) async fn one(State(app): State<AppState>, caller: Caller, name: Named, uri: Uri) -> Result<Json<Report>> {
    Params::of(&uri).finish()?;
    find(&app.pool, caller.id(), &name.0).await.map(Json)
}

/// Put a report
///
/// Messages of uploads that have not met it yet cost this from now on; what earlier ones cost stays as it was.
#[utoipa::path(put, path = "/v1/reports/{id}", operation_id = "putReport", tag = "usage", params(("id" = String, Path, description = "The report")),
    request_body = PutReport, responses((status = 200, description = "As it is now", body = Report), BadReport))]
pub(crate) async fn put(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
    Body(new): Body<PutReport>,
) -> Result<Json<Report>> {
    Params::of(&uri).finish()?;
    let PutReport { name: title, credit_cost } = new;
    let report = check_one(NewReport { id: name.0, name: title, credit_cost })?;
    let id = report.id.clone();
    put_all(&app.pool, caller.id(), vec![report]).await?;
    find(&app.pool, caller.id(), &id).await.map(Json)
}

/// Put up to 10,000 reports
///
/// All of them or, when one cannot be, none. Others stay as they are.
#[utoipa::path(post, path = "/v1/reports/batch", operation_id = "putReports", tag = "usage", request_body = ReportBatch,
    responses((status = 200, description = "They are there", body = ReportsPut), BadReport))]
pub(crate) async fn batch(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    uri: Uri,
    Body(new): Body<ReportBatch>,
) -> Result<Json<ReportsPut>> {
    Params::of(&uri).finish()?;
    let reports = check(new.items)?;
    let put = reports.len();
    let mut tx = app.pool.begin().await?;
    put_all(&mut *tx, caller.id(), reports).await?;
    let put = ReportsPut { put };
    once.keep(&mut tx, StatusCode::OK, None, &put).await?;
    tx.commit().await?;
    Ok(Json(put))
}

/// Delete a report
///
/// Messages of uploads that have not met it cost what their texts do. One that your `reports_url` knows is asked for again.
#[utoipa::path(delete, path = "/v1/reports/{id}", operation_id = "deleteReport", tag = "usage",
    params(("id" = String, Path, description = "The report")), responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(app): State<AppState>, caller: Caller, name: Named, uri: Uri) -> Result<StatusCode> {
    Params::of(&uri).finish()?;
    let deleted = sqlx::query("delete from reports where client_id = $1 and id = $2 and name is not null")
        .bind(caller.id())
        .bind(storable(&name.0)?)
        .execute(&app.pool)
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(none(&name.0));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn find(pool: &PgPool, client_id: ClientId, id: &str) -> Result<Report> {
    let found: Option<Row> = sqlx::query_as(
        "select id, name, credit_cost, source, updated_at from reports
         where client_id = $1 and id = $2 and name is not null",
    )
    .bind(client_id)
    .bind(storable(id)?)
    .fetch_optional(pool)
    .await?;
    found.map(Report::from).ok_or_else(|| none(id))
}

async fn put_all(on: impl PgExecutor<'_>, client_id: ClientId, mut reports: Vec<ReportPrice>) -> Result<()> {
    // in one order, so that two batches never wait for each other in a circle
    reports.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let ids: Vec<&str> = reports.iter().map(|report| report.id.as_str()).collect();
    let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    let costs: Vec<i64> = reports.iter().map(|report| report.credit_cost.twentieths()).collect();
    sqlx::query(
        "insert into reports (client_id, id, source, name, credit_cost)
         select $1, n.id, 'client', n.name, n.cost
         from unnest($2::text[], $3::text[], $4::bigint[]) as n (id, name, cost)
         on conflict (client_id, id) do update
         set source = 'client', name = excluded.name, credit_cost = excluded.credit_cost, updated_at = now()",
    )
    .bind(client_id)
    .bind(ids)
    .bind(names)
    .bind(costs)
    .execute(on)
    .await?;
    Ok(())
}

/// A NUL is in no report's id, and the database does not take one.
fn storable(id: &str) -> Result<&str> {
    if id.contains('\0') { Err(none("(with a NUL)")) } else { Ok(id) }
}

fn none(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no report '{id}'. GET /v1/reports lists yours."))
}
