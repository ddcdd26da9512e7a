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

/// Reads the body of a request that may have one, for as long as its header might have taken.
pub(crate) async fn whole(State(app): State<AppState>, request: Request, next: Next) -> Result<Response> {
    if matches!(*request.method(), Method::GET | Method::HEAD) || request.body().is_end_stream() {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    let timeout = app.config.header_timeout;
    let body = match tokio::time::timeout(timeout, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if error.source().is_some_and(<dyn Error>::is::<LengthLimitError>) => return Err(too_large()),
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

fn too_large() -> Problem {
    let detail = format!("The body has more than {MAX_BODY} bytes, the limit of every body that is no file.");
    Problem::new(Code::BodyTooLarge, detail)
}
