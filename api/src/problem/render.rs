use std::any::Any;

use axum::{
    Extension, Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};

use super::Problem;
use crate::observe::RequestId;

/// Writes the problem that a handler answered, and logs it if it is a fault of ours: the one place that does.
pub(crate) async fn render(Extension(request): Extension<RequestId>, input: Request, next: Next) -> Response {
    let response = next.run(input).await;
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    log(&problem);
    let (parts, _) = response.into_parts();
    let mut written = (parts.status, Json(problem.body(request.as_str()))).into_response();
    let headers = written.headers_mut();
    // What axum set, such as `Allow`.
    for (name, value) in &parts.headers {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            headers.insert(name, value.clone());
        }
    }
    headers.extend(problem.0.headers.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    written
}

fn log(problem: &Problem) {
    let code = problem.code().as_str();
    let cause = problem.0.source.as_deref().map(|source| gristmill_core::chain(source));
    if problem.status().is_server_error() {
        tracing::error!(code, cause, "request failed");
    } else {
        tracing::debug!(code, cause, "request refused");
    }
}

/// What a panic in a handler becomes.
pub(crate) fn internal(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(said), _) => (*said).to_owned(),
        (_, Some(said)) => said.clone(),
        _ => "no message".to_owned(),
    };
    Problem::internal(format!("panic: {said}")).into_response()
}
