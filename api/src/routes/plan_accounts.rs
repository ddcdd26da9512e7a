//! `/v1/plan-accounts`: the plans that claims are paid from, and whether they are for now.

use axum::{Json, extract::State};
use gristmill_claims::{
    CURRENCY,
    accounting::{self, PlanAccount as Row},
    jobs::redrive_of,
};
use gristmill_queue::{Enqueued, Options};
use http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    json::Body,
    money::Sum,
    params::{Named, Params},
    problem::{Problem, Result},
};

/// A page of plan accounts, in the order in which they were opened.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanAccountList {
    items: Vec<PlanAccount>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A plan's account.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanAccount {
    #[schema(example = "GRP-1000")]
    plan_group: String,
    /// Whether nothing is paid from it.
    frozen: bool,
    /// Why.
    reason: Option<String>,
    /// What is owed to it; below zero: what it owes providers.
    balance: Sum,
}

impl From<Row> for PlanAccount {
    fn from(row: Row) -> Self {
        let Row { plan_group, frozen, reason, balance_minor, .. } = row;
        Self { plan_group, frozen, reason, balance: Sum::of(balance_minor.0, CURRENCY) }
    }
}

/// Whether a plan's account is frozen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freezing {
    /// Nothing is paid from a frozen one: payments are tried again, and when they have failed for good, by the clock. What is
    /// voided is taken back all the same.
    frozen: bool,
    /// Why, for people; at most 500 characters.
    #[schema(example = "under audit until June")]
    reason: Option<String>,
}

/// How many plan accounts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct PlansQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^a[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// The plans that your claims are paid from
#[utoipa::path(get, path = "/v1/plan-accounts", operation_id = "listPlanAccounts", tag = "claims", params(PlansQuery),
    responses((status = 200, description = "A page of them", body = PlanAccountList)))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<PlanAccountList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let after = query.take::<cursor::PlanAccounts>("cursor").map_or(0, cursor::PlanAccounts::line);
    query.finish()?;
    let found = accounting::plans(&app.pool, caller.id(), after, i64::from(limit) + 1).await?;
    let (rows, next_cursor) =
        cursor::PlanAccounts::page(found, limit, |last| cursor::PlanAccounts::after_line(last.id));
    Ok(Json(PlanAccountList { items: rows.into_iter().map(PlanAccount::from).collect(), next_cursor }))
}

/// Freeze or unfreeze a plan's account
///
/// From the answer on nothing is paid from a frozen one. When one is freed, your payments that have failed for good are tried
/// again. A plan that no claim has named yet gets its account by this.
#[utoipa::path(put, path = "/v1/plan-accounts/{name}", operation_id = "putPlanAccount", tag = "claims",
    params(("name" = String, Path, description = "The plan's group")), request_body = Freezing,
    responses((status = 200, description = "As it is now", body = PlanAccount)))]
pub(crate) async fn put(
    State(app): State<AppState>,
    caller: Caller,
    Named(plan): Named,
    uri: Uri,
    Body(Freezing { frozen, reason }): Body<Freezing>,
) -> Result<Json<PlanAccount>> {
    Params::of(&uri).finish()?;
    if plan.trim().is_empty() || plan.contains('\0') || plan.chars().count() > 64 {
        return Err(Problem::bad_field("name", "is no plan's group: those have 1 to 64 characters and no NUL"));
    }
    if reason.as_ref().is_some_and(|reason| reason.contains('\0') || reason.chars().count() > 500) {
        return Err(Problem::bad_field("reason", "has more than 500 characters, or a NUL in it"));
    }
    let queue = &app.queue;
    let mut tx = app.pool.begin().await?;
    accounting::freeze(&mut *tx, caller.id(), &plan, frozen, reason.as_deref()).await?;
    let mut jobs = Enqueued::default();
    if !frozen {
        jobs = queue.enqueue(&mut tx, &redrive_of(caller.id()), &Options::default()).await?;
    }
    let found = accounting::plan(&mut *tx, caller.id(), &plan).await?;
    tx.commit().await?;
    queue.push(jobs).await;
    found.map(|row| Json(row.into())).ok_or_else(|| Problem::not_found("plan account", plan, "/v1/plan-accounts"))
}
