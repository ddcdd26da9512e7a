//! What every role answers about itself: `/metrics`, `/healthz` and `/readyz`.

mod health;
mod server;

pub use health::Health;
pub use server::{Server, routes};
