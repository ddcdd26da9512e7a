//! What is seen of every request: its id, its span, its metrics.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use gristmill_queue::trace;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the client's, if it sent a sensible one, else ours.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn of(request: &Request) -> Self {
        let sensible = |id: &&str| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let sent = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(sensible);
        Self(sent.map_or_else(|| Uuid::now_v7().to_string().into(), Arc::from))
    }
}

/// What the API's metrics mean.
pub(crate) fn describe() {
    metrics::describe_counter!("gristmill_http_requests_total", "Answered requests, by route and status");
    metrics::describe_histogram!(
        "gristmill_http_request_duration_seconds",
        "Seconds from a request's head to the head of its answer"
    );
    metrics::describe_gauge!("gristmill_watchers", "Open streams of events");
    metrics::describe_gauge!("gristmill_watched_uploads", "Uploads with an open stream of events");
}

/// The outermost layer: gives the request an id, a span and a trace, counts and times it.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    // The pattern, not the path: a closed set, without ids.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let span = tracing::info_span!(
        "request",
        request_id = id.as_str(),
        method,
        route,
        client_id = tracing::field::Empty,
        upload_id = tracing::field::Empty,
        trace_id = tracing::field::Empty
    );
    request.extensions_mut().insert(id.clone());
    let started = Instant::now();
    let parent = trace_parent(&request).or_else(|| trace::begin(&span));
    let mut response = trace::follow(parent, span.clone(), next.run(request)).await;
    let elapsed = started.elapsed();
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    let status = response.status().as_u16();
    if response.status().is_server_error() {
        trace::failed(&span, response.status().as_str());
    }
    span.in_scope(|| tracing::debug!(status, ms = elapsed.as_millis(), "answered"));
    metrics::counter!("gristmill_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("gristmill_http_request_duration_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());
    response
}

/// The trace that the client's request is part of, when it says so.
fn trace_parent(request: &Request) -> Option<String> {
    let sent = request.headers().get("traceparent")?.to_str().ok()?;
    trace::is_valid(sent).then(|| sent.to_owned())
}

/// A closed set: a client may invent methods, and each would be a metric.
fn method(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::HEAD => "HEAD",
        http::Method::POST => "POST",
        http::Method::PUT => "PUT",
        http::Method::PATCH => "PATCH",
        http::Method::DELETE => "DELETE",
        http::Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
