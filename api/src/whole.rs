//! Small bodies are read whole before anything is done with them: who sends slowly holds nothing but the connection.

use std::error::Error;

use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;
use http_body_util::LengthLimitError;

use crate::{
    app::AppState,
    problem::{Code, Problem, Result},
};

/// The longest body of a small request, in bytes: what axum's extractors take.
pub(crate) const MAX_BODY: usize = 2 * 1024 * 1024;
/// The longest of one that may have many jobs in it.
pub(crate) const MAX_LARGE_BODY: usize = gristmill_http::MAX_BODY;

/// Reads the body of a request that may have one, for as long as its header might have taken.
pub(crate) async fn whole(State(app): State<AppState>, request: Request, next: Next) -> Result<Response> {
    read(&app, request, next, MAX_BODY).await
}

/// The same of a request that may have many jobs in it.
pub(crate) async fn whole_large(State(app): State<AppState>, request: Request, next: Next) -> Result<Response> {
    read(&app, request, next, MAX_LARGE_BODY).await
}

async fn read(app: &AppState, request: Request, next: Next, limit: usize) -> Result<Response> {
    if matches!(*request.method(), Method::GET | Method::HEAD) || request.body().is_end_stream() {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let timeout = app.config.header_timeout;
    let body = match tokio::time::timeout(timeout, to_bytes(body, limit)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if error.source().is_some_and(<dyn Error>::is::<LengthLimitError>) => {
            return Err(too_large(limit));
        }
        Ok(Err(error)) => {
            return Err(Problem::new(Code::InvalidBody, "The body broke off. Nothing was done.").caused_by(error));
        }
        Err(elapsed) => {
            let detail = format!("The body was not whole after {} s. Nothing was done.", timeout.as_secs_f64());
            return Err(Problem::new(Code::BodyTooSlow, detail).caused_by(elapsed));
        }
    };
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

fn too_large(limit: usize) -> Problem {
    let whose = if limit == MAX_BODY { "of every body that is no file" } else { "of bodies with many jobs" };
    let detail = format!("The body has more than {limit} bytes, the limit {whose}.");
    Problem::new(Code::BodyTooLarge, detail)
}
