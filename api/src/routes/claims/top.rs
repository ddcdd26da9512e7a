//! `/v1/claims/top-providers`: whose claims come to most.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{AppendHeaders, IntoResponse},
};
use gristmill_claims::{CURRENCY, providers};
use http::Uri;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState, auth::Caller, money::Sum, openapi::Limited, params::Params, problem::Result, quota::Policy,
};

/// How often a client may ask.
const POLICY: Policy = Policy { name: "top-providers", quota: 10, window: Duration::from_secs(60) };

/// Providers, the one with the highest net fee first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TopProviders {
    items: Vec<TopProvider>,
}

/// A provider, and what its claims that are not void add up to.
#[derive(Serialize, ToSchema)]
pub(crate) struct TopProvider {
    #[schema(example = "1497775530")]
    provider_npi: String,
    #[schema(example = 1)]
    claims: i64,
    #[schema(example = 4)]
    lines: i64,
    /// May be negative.
    net_fee: Sum,
}

/// How many, and of which days.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct TopQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
    /// Only claims of this day or later.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Date>,
    /// Only claims of this day or earlier.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
}

/// The providers with the highest net fees
///
/// At most ten times within a minute; the headers `RateLimit` and `RateLimit-Policy` say how many times are left.
#[utoipa::path(get, path = "/v1/claims/top-providers", operation_id = "listTopProviders", tag = "claims", params(TopQuery),
    responses((status = 200, description = "The highest first", body = TopProviders,
        headers(("RateLimit", description = "How many requests are left, and when there will be more"), ("RateLimit-Policy", description = "How many there are, within how many seconds"))),
        Limited))]
pub(crate) async fn top(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<impl IntoResponse> {
    let mut query = Params::of(&uri);
    let limit = |value: &str| match value.parse() {
        Ok(limit @ 1..=100) => Ok(limit),
        _ => Err(format!("'{value}' is not a number from 1 to 100")),
    };
    let limit: i64 = query.take_by("limit", limit).unwrap_or(10);
    let (from, to) = (query.day("from"), query.day("to"));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        query.fail("to", format!("{to} is before {from}, where the days begin"));
    }
    query.finish()?;
    let told = app.quotas.take(&POLICY, caller.id()).await?;
    let found = providers::top(&app.pool, caller.id(), from, to, limit).await?;
    let items = found.into_iter().map(|row| TopProvider {
        provider_npi: row.provider_npi,
        claims: row.claims,
        lines: row.lines,
        net_fee: Sum::of(row.net_fee_minor.0, CURRENCY),
    });
    Ok((AppendHeaders(told), Json(TopProviders { items: items.collect() })))
}
