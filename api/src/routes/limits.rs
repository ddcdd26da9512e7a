//! `/v1/limits`: what jobs are held to by their names, and the pools of slots that they share.

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use gristmill_core::human::is_unseen;
use gristmill_queue::{JobLimits, LimitsError, NamedLimits, NamedLimitsView};
use http::{StatusCode, Uri, request::Parts};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    auth::Operator,
    json::Whole,
    openapi::NotOperator,
    params::{Named, Params},
    problem::{Code, Problem, Result},
};

/// How many slots a pool has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlotPool {
    /// How many there are.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    slots: u32,
}

/// Every limit by name
///
/// Names of jobs that something was said of, with how many run and how many wait for room, and the pools of slots.
#[utoipa::path(get, path = "/v1/limits", operation_id = "listLimits", tag = "limits",
    responses((status = 200, description = "All of them, by name", body = NamedLimitsView), NotOperator))]
pub(crate) async fn list(State(app): State<AppState>, _: Operator, uri: Uri) -> Result<Json<NamedLimitsView>> {
    Params::of(&uri).finish()?;
    Ok(Json(app.queue.limits().list().await?))
}

/// Set the limits of a job
///
/// Of all jobs of this name, in whichever queues, over all workers, in place of those they had: what is not given has no limit. A job
/// that there is no room for waits; it is in nobody's way, and no attempt is counted.
#[utoipa::path(put, path = "/v1/limits/jobs/{name}", operation_id = "putJobLimits", tag = "limits",
    params(("name" = String, Path, description = "The name of the job")), request_body = JobLimits,
    responses((status = 200, description = "All limits as they are now", body = NamedLimitsView),
        (status = 409, description = "It uses a pool that is not there, or more slots than that has"), NotOperator))]
pub(crate) async fn put_job(about: About, Whole(limits): Whole<JobLimits>) -> Result<Json<NamedLimitsView>> {
    about.limits.set_job(&about.name, &limits).await.map_err(problem)?;
    Ok(Json(about.limits.list().await?))
}

/// Make or change a pool of slots
///
/// Jobs take slots of it by `uses` in their limits.
#[utoipa::path(put, path = "/v1/limits/pools/{name}", operation_id = "putSlotPool", tag = "limits",
    params(("name" = String, Path, description = "The name of the pool")), request_body = SlotPool,
    responses((status = 200, description = "All limits as they are now", body = NamedLimitsView),
        (status = 409, description = "A job takes more slots of it than that"), NotOperator))]
pub(crate) async fn put_pool(about: About, Whole(pool): Whole<SlotPool>) -> Result<Json<NamedLimitsView>> {
    about.limits.set_pool(&about.name, pool.slots).await.map_err(problem)?;
    Ok(Json(about.limits.list().await?))
}

/// Remove a pool of slots
#[utoipa::path(delete, path = "/v1/limits/pools/{name}", operation_id = "deleteSlotPool", tag = "limits",
    params(("name" = String, Path, description = "The name of the pool")),
    responses((status = 204, description = "It is gone"), (status = 409, description = "A job takes slots of it"), NotOperator))]
pub(crate) async fn delete_pool(about: About) -> Result<StatusCode> {
    match about.limits.remove_pool(&about.name).await.map_err(problem)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("pool of slots", about.name, "/v1/limits")),
    }
}

fn problem(error: LimitsError) -> Problem {
    match error {
        LimitsError::Queue(error) => error.into(),
        LimitsError::Unusable { limit } => Problem::bad_field(limit, error),
        LimitsError::NoPool { .. } | LimitsError::TooFewSlots { .. } | LimitsError::PoolInUse { .. } => {
            Problem::new(Code::WrongState, error.to_string())
        }
        error => Problem::internal(error),
    }
}

/// An operator's request about one name.
pub(crate) struct About {
    limits: NamedLimits,
    name: String,
}

impl FromRequestParts<AppState> for About {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        Operator::from_request_parts(parts, app).await?;
        let Named(name) = Named::from_request_parts(parts, app).await?;
        Params::of(&parts.uri).finish()?;
        if name.chars().count() > 200 || name.chars().any(is_unseen) {
            return Err(Problem::new(Code::NotFound, "Nothing has such a name."));
        }
        Ok(Self { limits: app.queue.limits(), name })
    }
}
