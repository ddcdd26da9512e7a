//! The web dashboard: what everything does, live, and the buttons that steer it.
//!
//! Pages are rendered here, by typed templates; what moves is rendered again while somebody looks, once for all who look
//! at the same, and morphed into place. Most reads go through functions that the API uses; what only the dashboard
//! shows has statements of its own.

mod actions;
mod app;
mod assets;
mod audit;
mod bill;
mod chart;
mod cron;
mod format;
mod history;
mod live;
mod login;
mod page;
mod pages;
mod security_headers;
mod session;
mod uploads;

pub use app::{Dashboard, link};

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use tower_http::compression::CompressionLayer;

use app::App;

impl Dashboard {
    /// Its routes. Looks at the queues from now on, until the runtime ends.
    pub fn routes(self) -> Router {
        let app: App = Arc::new(self);
        tokio::spawn(history::sample(Arc::clone(&app)));
        tokio::spawn(history::examine(Arc::clone(&app)));
        let inside = Router::new()
            .route("/live", get(live::live))
            .nest("/act", actions::routes(&app))
            .route("/uploads", get(page::page).post(uploads::receive))
            .route("/uploads/{id}/rejects.csv", get(uploads::rejects))
            .route("/bills/{name}", get(bill::page))
            .route("/logout", post(login::logout))
            .fallback(get(page::page))
            .layer(middleware::from_fn_with_state(Arc::clone(&app), session::require));
        Router::new()
            .route("/login", get(login::form).post(login::login))
            .route("/assets/{name}", get(assets::asset))
            .merge(inside)
            .layer(CompressionLayer::new())
            .layer(middleware::from_fn(security_headers::texts))
            .layer(middleware::map_response(security_headers::headers))
            .with_state(app)
    }
}
