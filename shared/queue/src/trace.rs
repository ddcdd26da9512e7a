//! One trace from a request to its last job: W3C trace context, kept in the ledger beside each job.
//!
//! What is enqueued without [`crate::Options::trace_parents`] follows what enqueues it. With the feature `opentelemetry`,
//! and a layer of `tracing-opentelemetry` among the process's subscribers, that is the current span; without, the trace
//! that the request or the job at hand is part of. So a trace stays one even where a process on its way exports no spans.

use std::future::Future;

use rand::RngExt as _;
use tracing::{Instrument as _, Span, field::display};

#[cfg(feature = "opentelemetry")]
mod exported;

#[cfg(not(feature = "opentelemetry"))]
mod exported {
    //! Nobody exports spans.
    use tracing::Span;

    pub(super) fn adopt(_: &Span, _: &str) {}

    pub(super) fn parent(_: &Span) -> Option<String> {
        None
    }

    pub(super) fn failed(_: &Span, _: &str) {}
}

tokio::task_local! {
    static PARENT: String;
}

/// The `traceparent` that what is started here should have.
#[must_use]
pub fn current() -> Option<String> {
    exported::parent(&Span::current()).or_else(|| PARENT.try_with(Clone::clone).ok())
}

/// Runs `future` in `span`, as part of the trace that `parent` (a `traceparent`) names; one that cannot be read is as
/// none. When the span has a field `trace_id`, it is recorded. The span must be new: one that was entered has its parent.
pub fn follow<F: Future>(parent: Option<String>, span: Span, future: F) -> impl Future<Output = F::Output> {
    let parent = parent.filter(|parent| is_valid(parent));
    if let Some(parent) = &parent {
        exported::adopt(&span, parent);
    }
    let here = exported::parent(&span).or(parent);
    if let Some(here) = &here {
        span.record("trace_id", display(trace_id(here)));
    }
    scope(here, future).instrument(span)
}

/// Runs `future`, on whatever task, in the span and the trace in which this is called.
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    scope(PARENT.try_with(Clone::clone).ok(), future).in_current_span()
}

/// A trace that begins with `span`: what to [`follow`] when nobody sent a parent.
/// None when the span is exported, and so begins the trace itself.
#[must_use]
pub fn begin(span: &Span) -> Option<String> {
    let mut random = rand::rng();
    // Zero means none.
    let (trace, parent): (u128, u64) = (random.random_range(1..=u128::MAX), random.random_range(1..=u64::MAX));
    exported::parent(span).is_none().then(|| format!("00-{trace:032x}-{parent:016x}-01"))
}

/// Whether this is a `traceparent` as W3C wrote it down: `00-<trace>-<span>-<flags>`, lower-case hexadecimal.
/// Later versions may have more at the end.
#[must_use]
pub fn is_valid(parent: &str) -> bool {
    let hex = |part: &str, n| part.len() == n && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part, n| hex(part, n) && part.bytes().any(|b| b != b'0');
    let mut parts = parent.splitn(5, '-');
    let mut next = || parts.next().unwrap_or("");
    let (version, trace, span, flags) = (next(), next(), next(), next());
    let more = parts.next().is_some();
    hex(version, 2) && version != "ff" && (version != "00" || !more) && id(trace, 32) && id(span, 16) && hex(flags, 2)
}

/// Says of an exported span that it did not go well.
pub fn failed(span: &Span, error: &str) {
    exported::failed(span, error);
}

/// The second part of a valid one.
fn trace_id(parent: &str) -> &str {
    parent.get(3..35).unwrap_or(parent)
}

async fn scope<F: Future>(parent: Option<String>, future: F) -> F::Output {
    match parent {
        Some(parent) => PARENT.scope(parent, future).await,
        None => future.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_w3c_calls_valid() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_valid(good) && is_valid(&format!("cc{}-more", &good[2..])));
        let bad = [
            "",
            "00",
            &good[1..],
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            &format!("{good}-more"),
            &format!("{good}0"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        ];
        assert_eq!(bad.into_iter().find(|bad| is_valid(bad)), None);
        assert!(begin(&Span::none()).is_some_and(|begun| is_valid(&begun)));
    }

    #[tokio::test]
    async fn a_task_of_its_own_stays_in_the_trace_when_carried() {
        let parent = begin(&Span::none());
        let seen = follow(parent.clone(), Span::none(), async {
            let carried = tokio::spawn(carry(async { current() })).await.unwrap();
            let left = tokio::spawn(async { current() }).await.unwrap();
            (current(), carried, left)
        });
        assert_eq!(seen.await, (parent.clone(), parent, None));
        assert_eq!(follow(Some("nonsense".into()), Span::none(), async { current() }).await, None);
    }
}
