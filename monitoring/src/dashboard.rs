//! The web dashboard: what everything does, live, and the buttons that steer it.
//!
//! The queue's pages are a [`Board`]; what is here is what the product adds to it: who logs in, the audit log, what jobs and
//! groups are of, and the pages of uploads, bills and the rest. Most reads go through functions that the API uses; what only the
//! dashboard shows has statements of its own.

mod actions;
mod app;
mod audit;
mod bill;
mod choice;
mod format;
mod login;
mod owners;
mod pages;
mod session;
mod uploads;

pub use app::{Dashboard, link};

use std::sync::Arc;

use axum::{Router, middleware};
use gristmill_board::{Board, BoardError, Engine};
use gristmill_service::Readiness;

use app::App;

impl Dashboard {
    /// Its routes. Looks at the queues from now on, until they are dropped.
    ///
    /// # Errors
    /// When two pages have the same address.
    pub fn routes(self) -> Result<Router, BoardError> {
        let app: App = Arc::new(self);
        tokio::spawn(pages::uploads::sample(Arc::downgrade(&app)));
        let health = app.health.clone();
        let examine = move || -> futures::future::BoxFuture<'static, _> {
            let health = health.clone();
            Box::pin(async move { engines(&health.examine().await) })
        };
        let board = Board::new(app.queue.clone())
            .access(session::Sessions(Arc::clone(&app)))
            .audit(audit::AuditLog(app.pool.clone()))
            .owners(owners::Product(app.pool.clone()))
            .engines(examine)
            .when_empty("groups", "Each upload has one.")
            .when_empty("schedules", "<code>gristmill schedules put</code> makes a schedule.")
            .when_empty(
                "workers",
                "<code>gristmill worker</code> starts one; <code>docker compose up --scale worker=4</code> four.",
            )
            .page(pages::scheduler::Scheduler(app.pool.clone()))
            .page(pages::uploads::UploadPages(Arc::clone(&app)))
            .page(pages::bills::BillPages(Arc::clone(&app)))
            .page(pages::mail::MailPages(Arc::clone(&app)))
            .page(pages::webhooks::WebhookPages(Arc::clone(&app)))
            .page(pages::normalizations::NormalizationPages(Arc::clone(&app)))
            .page(pages::claims::ClaimPages(Arc::clone(&app)))
            .page(pages::usage::UsagePage(Arc::clone(&app)))
            .page(pages::keys::KeyPage(app));
        Ok(board.router()?.layer(middleware::from_fn(choice::keep)))
    }
}

/// What was asked, and how it is, as the board shows it.
fn engines(found: &Readiness) -> Vec<Engine> {
    found.checks().map(|(name, outcome)| Engine { name, outcome: outcome.to_owned() }).collect()
}
