//! Spans that a layer of `tracing-opentelemetry` exports.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes a span that has not started the child of `parent`, a valid `traceparent`.
pub(super) fn adopt(span: &Span, parent: &str) {
    let mut parts = parent.split('-').skip(1);
    let mut next = || parts.next().unwrap_or("");
    let (trace, id, flags) = (TraceId::from_hex(next()), SpanId::from_hex(next()), u8::from_str_radix(next(), 16));
    if let (Ok(trace), Ok(id), Ok(flags)) = (trace, id, flags) {
        let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
        let parent = SpanContext::new(trace, id, flags, true, TraceState::default());
        // Fails where no layer exports spans, and then there is nothing to be done.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// What a child of this span has as its `traceparent`, when the span is exported.
pub(super) fn parent(span: &Span) -> Option<String> {
    let context = span.context();
    let of = context.span().span_context().clone();
    of.is_valid()
        .then(|| format!("00-{}-{}-{:02x}", of.trace_id(), of.span_id(), of.trace_flags() & TraceFlags::SAMPLED))
}

pub(super) fn failed(span: &Span, error: &str) {
    span.set_status(Status::error(error.to_owned()));
}
