//! The buttons: a route and a handler for each action, and one frame around all of them. Each says what it did, and the
//! audit log keeps it.

mod answer;
mod bills;
mod claims;
mod form;
mod frame;
mod groups;
mod jobs;
mod keys;
mod mail;
mod params;
mod queues;
mod schedules;
mod uploads;
mod webhooks;
mod workers;

use std::sync::Arc;

use axum::{Router, middleware, routing::post};

use super::app::App;

/// The actions, below `/act`.
pub(super) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/jobs/cancel", post(jobs::cancel_many))
        .route("/jobs/redrive", post(jobs::redrive_many))
        .route("/jobs/discard", post(jobs::discard_many))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/redrive", post(jobs::redrive))
        .route("/jobs/{id}/discard", post(jobs::discard))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        .route("/queues/{name}/drain", post(queues::drain))
        .route("/queues/{name}/limits", post(queues::set_limits))
        .route("/workers/{id}/drain", post(workers::drain))
        .route("/schedules/{name}/pause", post(schedules::pause))
        .route("/schedules/{name}/resume", post(schedules::resume))
        .route("/schedules/{name}/run", post(schedules::run))
        .route("/groups/{id}/cancel", post(groups::cancel))
        .route("/groups/{id}/retry", post(groups::retry))
        .route("/uploads/{id}/cancel", post(uploads::remove))
        .route("/uploads/{id}/undo", post(uploads::remove))
        .route("/claims/{client}/{id}/void", post(claims::void))
        .route("/bills/{id}/cancel", post(bills::cancel))
        .route("/keys/{id}/revoke", post(keys::revoke))
        .route("/webhooks/{client}/{id}/enable", post(webhooks::enable))
        .route("/webhooks/{client}/{id}/disable", post(webhooks::disable))
        .route("/webhooks/{client}/{id}/test", post(webhooks::test))
        .route("/webhooks/{client}/{id}/replay", post(webhooks::replay_failed))
        .route("/deliveries/{client}/{endpoint}/{id}/replay", post(webhooks::replay))
        .route("/mail/{client}/{id}/resend", post(mail::resend))
        .route("/mail/{client}/{id}/send_twice", post(mail::send_twice))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), frame::noted))
        .fallback(answer::unknown)
}
