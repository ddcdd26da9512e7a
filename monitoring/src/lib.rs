//! What every role answers about itself, `/metrics`, `/healthz` and `/readyz`; and the [`dashboard`].

pub mod dashboard;
mod health;
mod server;

pub use health::Health;
pub use server::{Server, routes};
