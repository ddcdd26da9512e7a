//! The HTTP API: routes in, problem+json out.
//!
//! A request passes [`observe`](observe), the key ([`auth`](auth)) and its route ([`routes`](routes)); a file passes
//! [`body`](body) on its way to [`gristmill_uploads::Receiver`]; watchers hang on the one [`hub`](hub). Whatever goes
//! wrong becomes a [`problem`](problem).

mod app;
mod auth;
mod body;
mod cursor;
mod hub;
mod observe;
mod openapi;
mod params;
mod problem;
mod routes;
mod run;
mod server;

pub use problem::{FieldError, ProblemBody};
pub use run::{Config, build, document, run};
pub use server::Server;
