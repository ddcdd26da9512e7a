//! `/v1/workers`: who works on what.

use axum::{Json, extract::State};
use gristmill_queue::WorkerView;
use http::{StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Operator,
    idempotency::Once,
    openapi::NotOperator,
    params::{Named, Params},
    problem::{Problem, Result},
};

/// The workers heard of in the last half minute.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkerList {
    items: Vec<WorkerView>,
}

/// A worker that was asked to take no more jobs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Draining {
    /// The worker.
    id: Uuid,
    /// It learns of it within two seconds.
    draining: bool,
}

/// Every worker, with what it runs
#[utoipa::path(get, path = "/v1/workers", operation_id = "listWorkers", tag = "workers",
    responses((status = 200, description = "All of them", body = WorkerList), NotOperator))]
pub(crate) async fn list(State(app): State<AppState>, _: Operator, uri: Uri) -> Result<Json<WorkerList>> {
    Params::of(&uri).finish()?;
    Ok(Json(WorkerList { items: app.queue.workers().await? }))
}

/// Drain a worker
///
/// It finishes what it runs, and stays, idle, until its process is stopped.
#[utoipa::path(post, path = "/v1/workers/{id}/drain", operation_id = "drainWorker", tag = "workers",
    params(("id" = Uuid, Path, description = "The worker")), responses((status = 200, description = "The drain is requested", body = Draining), NotOperator))]
pub(crate) async fn drain(
    State(app): State<AppState>,
    _: Operator,
    once: Once,
    named: Named,
    uri: Uri,
) -> Result<Json<Draining>> {
    Params::of(&uri).finish()?;
    let id = named.id("worker", "/v1/workers")?;
    let queue = &app.queue;
    let mut tx = app.pool.begin().await?;
    if !queue.drain_worker_in(&mut tx, id).await? {
        return Err(Problem::not_found("worker", id, "/v1/workers"));
    }
    let draining = Draining { id, draining: true };
    once.keep(&mut tx, StatusCode::OK, None, &draining).await?;
    tx.commit().await?;
    queue.tell_drain(id).await;
    Ok(Json(draining))
}
