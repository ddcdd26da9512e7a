//! The buttons: a route and a handler for each action, and one frame around all of them. Only who may act comes through; the
//! form is one; the audit has a line before the action begins, and its outcome when it has ended, even if the browser goes away.
//!
//! An action of an application's own page is a handler that answers an [`Answer`]:
//!
//! ```
//! use axum::{Router, routing::post};
//! use gristmill_board::{Page, actions::{Answer, Form, NotDone, Params, done}};
//!
//! struct Orders;
//!
//! impl Page for Orders {
//!     // A button with `hx-post="{base}/act/orders/7/ship" hx-swap="none"` presses it; `hx-confirm` asks before.
//!     fn actions(&self) -> Router {
//!         Router::new().route("/orders/{id}/ship", post(ship))
//!     }
//! }
//!
//! // In the audit it is `orders.ship`, of `7`.
//! async fn ship(Params(id): Params<u64>, form: Form) -> Answer {
//!     let Some(carrier) = form.get("carrier") else { return Err(NotDone::Refused("Say by whom".to_owned())) };
//!     done(format!("Order {id} is on its way with {carrier}"))
//! }
//! ```

mod answer;
mod form;
mod frame;
mod groups;
mod jobs;
mod limits;
mod params;
mod queues;
mod schedules;
mod workers;

pub use self::{
    answer::{Answer, Done, NotDone, done},
    form::Form,
    params::Params,
};

use std::sync::Arc;

use axum::{Router, middleware, routing::post};

use crate::board::App;

/// The actions, below `/act`.
pub(crate) fn routes(app: &App) -> Router<App> {
    let mut routes = Router::new()
        .route("/jobs/cancel", post(jobs::cancel_many))
        .route("/jobs/redrive", post(jobs::redrive_many))
        .route("/jobs/discard", post(jobs::discard_many))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/redrive", post(jobs::redrive))
        .route("/jobs/{id}/promote", post(jobs::promote))
        .route("/jobs/{id}/change", post(jobs::change))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/jobs/{id}/discard", post(jobs::discard))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        .route("/queues/{name}/drain", post(queues::drain))
        .route("/queues/{name}/limits", post(queues::set_limits))
        .route("/limits/jobs", post(limits::set_job))
        .route("/limits/pools", post(limits::set_pool))
        .route("/workers/{id}/drain", post(workers::drain))
        .route("/schedules/put", post(schedules::put))
        .route("/schedules/{name}/pause", post(schedules::pause))
        .route("/schedules/{name}/resume", post(schedules::resume))
        .route("/schedules/{name}/run", post(schedules::run))
        .route("/groups/{id}/cancel", post(groups::cancel))
        .route("/groups/{id}/retry", post(groups::retry));
    for page in &app.pages {
        routes = routes.merge(page.actions().with_state(()));
    }
    routes.route_layer(middleware::from_fn_with_state(Arc::clone(app), frame::noted)).fallback(answer::unknown)
}
