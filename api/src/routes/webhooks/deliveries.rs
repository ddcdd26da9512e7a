use axum::{
    Json,
    extract::{Path, State},
};
use gristmill_queue::JobId;
use gristmill_webhooks::{
    deliveries::{self, Delivery, ReplayOutcome, State as DeliveryState},
    jobs::ReplayDeliveries,
};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{LIST, find};
use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    idempotency::Once,
    openapi::NotNow,
    params::{Named, Params},
    problem::{Code, Problem, Result},
};

/// A page of deliveries, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    items: Vec<Delivery>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Which deliveries, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct DeliveriesQuery {
    /// Only those that stand like this.
    state: Option<DeliveryState>,
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^w[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// What became of a webhook's deliveries, newest first
///
/// Each with its attempts: what was answered, after how long, and the first KiB of it.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", operation_id = "listDeliveries", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook"), DeliveriesQuery),
    responses((status = 200, description = "A page", body = DeliveryList)))]
pub(crate) async fn deliveries(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    uri: Uri,
) -> Result<Json<DeliveryList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let state = query.take("state");
    let before = query.take::<cursor::Deliveries>("cursor").map(cursor::Deliveries::id);
    query.finish()?;
    let webhook = find(&app, &caller, &name).await?;
    let found = deliveries::list(&app.pool, webhook.id, state, before, limit + 1).await?;
    let (items, next_cursor) = cursor::Deliveries::page(found, limit, |last| cursor::Deliveries::after_id(last.id));
    Ok(Json(DeliveryList { items, next_cursor }))
}

/// A delivery that will be made.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryBegun {
    delivery_id: Uuid,
}

/// Send a test event
///
/// An event of the type `webhook.test`. `…/deliveries` shows what became of it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", operation_id = "testWebhook", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook")),
    responses((status = 202, description = "It will be sent", body = DeliveryBegun), NotNow))]
pub(crate) async fn test(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    once: Once,
    uri: Uri,
) -> Result<(StatusCode, Json<DeliveryBegun>)> {
    Params::of(&uri).finish()?;
    let webhook = find(&app, &caller, &name).await?;
    let mut tx = app.pool.begin().await?;
    let sent = gristmill_webhooks::test(&mut tx, &app.queue, caller.id(), webhook.id).await?;
    let disabled = || Problem::new(Code::WrongState, "The webhook is disabled: enable it first.");
    let (delivery_id, jobs) = sent.ok_or_else(disabled)?;
    let begun = DeliveryBegun { delivery_id };
    once.keep(&mut tx, StatusCode::ACCEPTED, None, &begun).await?;
    tx.commit().await?;
    app.queue.push(jobs).await;
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// Send a delivery once more
///
/// It carries the same `webhook-id`, and has all its attempts before it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{delivery_id}/replay", operation_id = "replayDelivery", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook"), ("delivery_id" = Uuid, Path, description = "The delivery")),
    responses((status = 202, description = "It will be sent", body = DeliveryBegun), NotNow))]
pub(crate) async fn replay_one(
    State(app): State<AppState>,
    caller: Caller,
    Path((name, delivery)): Path<(String, String)>,
    once: Once,
    uri: Uri,
) -> Result<(StatusCode, Json<DeliveryBegun>)> {
    Params::of(&uri).finish()?;
    let webhook = find(&app, &caller, &Named(name)).await?;
    let none = || Problem::not_found("delivery", &delivery, &format!("{LIST}/{}/deliveries", webhook.id));
    let delivery_id: Uuid = delivery.parse().map_err(|_| none())?;
    let mut tx = app.pool.begin().await?;
    let queue = &app.queue;
    match deliveries::replay(&mut tx, queue, caller.id(), webhook.id, delivery_id).await? {
        ReplayOutcome::Again(jobs) => {
            let begun = DeliveryBegun { delivery_id };
            once.keep(&mut tx, StatusCode::ACCEPTED, None, &begun).await?;
            tx.commit().await?;
            queue.push(jobs).await;
            Ok((StatusCode::ACCEPTED, Json(begun)))
        }
        ReplayOutcome::Pending => Err(Problem::new(Code::WrongState, "The delivery has not ended: it is being tried.")),
        ReplayOutcome::None => Err(none()),
    }
}

/// Which deliveries are sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct ReplayQuery {
    /// Those that stand like this: `failed` unless given; not `pending`.
    status: Option<DeliveryState>,
    /// Of events from then on.
    since: Option<Timestamp>,
    /// Of events before then.
    until: Option<Timestamp>,
}

/// A replay that has begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayBegun {
    /// The job that does it: `GET /v1/jobs/{id}`.
    #[schema(value_type = Uuid)]
    job_id: JobId,
}

/// Send many deliveries once more, the oldest first
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", operation_id = "replayDeliveries", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook"), ReplayQuery),
    responses((status = 202, description = "It will be done", body = ReplayBegun)))]
pub(crate) async fn replay_many(
    State(app): State<AppState>,
    caller: Caller,
    name: Named,
    once: Once,
    uri: Uri,
) -> Result<(StatusCode, Json<ReplayBegun>)> {
    let mut query = Params::of(&uri);
    let state = query.take("status").unwrap_or(DeliveryState::Failed);
    let since = query.time("since");
    // What happens from now on is not sent twice.
    let until = query.time("until").or_else(|| Some(Timestamp::now()));
    if state == DeliveryState::Pending {
        query.fail("status", "what is pending is sent anyhow: it may be failed, cancelled or delivered".to_owned());
    }
    query.finish()?;
    let webhook = find(&app, &caller, &name).await?;
    let (client_id, after) = (caller.id(), Uuid::nil());
    let job = ReplayDeliveries { client_id, endpoint_id: webhook.id, state, since, until, after };
    let mut tx = app.pool.begin().await?;
    let jobs = deliveries::replay_all(&mut tx, &app.queue, &job).await?;
    let job_id = jobs.ids().first().copied().ok_or_else(|| Problem::internal("a replay without a job"))?;
    let begun = ReplayBegun { job_id };
    once.keep(&mut tx, StatusCode::ACCEPTED, None, &begun).await?;
    tx.commit().await?;
    app.queue.push(jobs).await;
    Ok((StatusCode::ACCEPTED, Json(begun)))
}
