//! What every role answers about itself, `/metrics`, `/healthz` and `/readyz`; and the [`dashboard`].

pub mod dashboard;
mod health;

pub use gristmill_service::{Health, Server, routes};
pub use health::Engines;
