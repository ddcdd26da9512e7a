//! `/v1/queues`: how they stand, paused, drained, limited.

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use gristmill_core::human::is_unseen;
use gristmill_kinds::QUEUES;
use gristmill_queue::{Limits, LimitsError, QueueAction, QueueView, Queues};
use http::{StatusCode, Uri, request::Parts};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    auth::Operator,
    idempotency::Once,
    json::Whole,
    openapi::NotOperator,
    params::{Named, Params},
    problem::{Code, Problem, Result},
};

/// All queues, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueList {
    items: Vec<QueueView>,
}

/// Every queue
///
/// Those that have jobs to do, a worker, or something that was said of them.
#[utoipa::path(get, path = "/v1/queues", operation_id = "listQueues", tag = "queues",
    responses((status = 200, description = "All of them, by name", body = QueueList), NotOperator))]
pub(crate) async fn list(State(app): State<AppState>, _: Operator, uri: Uri) -> Result<Json<QueueList>> {
    Params::of(&uri).finish()?;
    Ok(Json(QueueList { items: app.queue.queues().list().await? }))
}

/// One queue
///
/// A queue is there when it has a job that is not done, a worker or something that was said of it, or is one of the product's.
#[utoipa::path(get, path = "/v1/queues/{name}", operation_id = "getQueue", tag = "queues",
    params(("name" = String, Path, description = "The queue")), responses((status = 200, description = "The queue", body = QueueView), NotOperator))]
pub(crate) async fn one(about: AboutQueue) -> Result<Json<QueueView>> {
    Ok(Json(about.queues.get(&about.name).await?))
}

/// Pause a queue
///
/// What runs goes on.
#[utoipa::path(post, path = "/v1/queues/{name}/pause", operation_id = "pauseQueue", tag = "queues",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue as it is now", body = QueueView), NotOperator))]
pub(crate) async fn pause(about: AboutQueue, once: Once) -> Result<Json<QueueView>> {
    about.steer(QueueAction::Pause, once).await
}

/// Resume a queue
///
/// Also ends a drain.
#[utoipa::path(post, path = "/v1/queues/{name}/resume", operation_id = "resumeQueue", tag = "queues",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue as it is now", body = QueueView), NotOperator))]
pub(crate) async fn resume(about: AboutQueue, once: Once) -> Result<Json<QueueView>> {
    about.steer(QueueAction::Resume, once).await
}

/// Run what is due now, then pause
#[utoipa::path(post, path = "/v1/queues/{name}/drain", operation_id = "drainQueue", tag = "queues",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "The queue as it is now", body = QueueView), NotOperator))]
pub(crate) async fn drain(about: AboutQueue, once: Once) -> Result<Json<QueueView>> {
    about.steer(QueueAction::Drain, once).await
}

/// Set a queue's limits
///
/// Over all its workers, in place of those it had: what is not given has no limit.
#[utoipa::path(put, path = "/v1/queues/{name}/limits", operation_id = "putQueueLimits", tag = "queues",
    params(("name" = String, Path, description = "The queue")), request_body = Limits,
    responses((status = 200, description = "The queue as it is now", body = QueueView), NotOperator))]
pub(crate) async fn limit(about: AboutQueue, Whole(limits): Whole<Limits>) -> Result<Json<QueueView>> {
    match about.queues.set_limits(&about.name, &limits).await {
        Ok(view) => Ok(Json(view)),
        Err(LimitsError::Queue(error)) => Err(error.into()),
        Err(error @ LimitsError::Unusable { limit }) => Err(Problem::bad_field(limit, error)),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// An operator's request about one queue that takes no parameters.
pub(crate) struct AboutQueue {
    pool: PgPool,
    queues: Queues,
    name: String,
}

impl AboutQueue {
    async fn steer(self, action: QueueAction, once: Once) -> Result<Json<QueueView>> {
        let mut tx = self.pool.begin().await?;
        let steered = self.queues.steer_in(&mut tx, &self.name, action).await?;
        once.keep(&mut tx, StatusCode::OK, None, &steered.view).await?;
        tx.commit().await?;
        self.queues.tell(&steered).await;
        Ok(Json(steered.view))
    }
}

impl FromRequestParts<AppState> for AboutQueue {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        Operator::from_request_parts(parts, app).await?;
        let Named(name) = Named::from_request_parts(parts, app).await?;
        Params::of(&parts.uri).finish()?;
        if name.chars().count() > 100 || name.chars().any(is_unseen) {
            return Err(Problem::new(Code::NotFound, "No queue has such a name."));
        }
        let queues = app.queue.queues();
        // A typo would make a queue that nobody serves, and leave the one that was meant as it is.
        if !QUEUES.contains(&name.as_str()) && !queues.is_known(&name).await? {
            return Err(Problem::not_found("queue", name, "/v1/queues"));
        }
        Ok(Self { pool: app.pool.clone(), queues, name })
    }
}
