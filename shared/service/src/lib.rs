//! What a process does besides its work: it stops when it is asked to ([`shutdown`]), and answers for its health on a port of
//! its own ([`Server`], [`Health`]). Logs, metrics and spans are `gristmill-telemetry`'s.

mod health;
mod server;

pub mod host;
pub mod shutdown;
pub mod stalled;

pub use health::{Health, Readiness};
pub use server::{ServeError, Server, routes};
