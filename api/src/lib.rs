//! The HTTP API: routes in, problem+json out.
//!
//! A request passes `observe`, the `door`, the key (`auth`), for small POSTs `idempotency`, and its route (`routes`); a small body is read
//! `whole` first, a file passes `body` on its way to [`gristmill_uploads::UploadService`]; watchers hang on the one `hub`. Whatever goes wrong
//! becomes a `problem`.

mod app;
mod auth;
mod body;
mod cors;
mod cursor;
mod door;
mod hub;
mod idempotency;
mod json;
mod lanes;
mod money;
mod observe;
mod openapi;
mod params;
mod problem;
mod quota;
mod routes;
mod run;
mod server;
mod whole;

pub use problem::{FieldError, ProblemBody, QuestionBody, QuestionExample};
pub use run::{Config, build, document, run};
pub use server::Server;
