//! What attempts say is kept with their jobs: by [`layer`] what a body says with `tracing`, by their reports what workers in
//! other languages say.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use gristmill_core::string_enum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{
    Event, Level, Metadata, Span, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// Lines that are kept of one attempt: the last ones.
pub const MAX_LINES: usize = 500;
/// Bytes of messages that are kept of one attempt.
pub const MAX_BYTES: usize = 64 * 1_024;
/// Characters of one message that are kept.
pub const MAX_MESSAGE: usize = 4_000;

string_enum! {
    /// How much a line matters.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum LogLevel {
        /// It did not work.
        Error,
        /// Somebody should look at it.
        Warn,
        /// What happens.
        #[default]
        Info,
        /// For who looks for a fault.
        Debug,
        /// Every step.
        Trace,
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// When it was said, by the worker's clock.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// What was said.
    pub message: String,
}

/// What one attempt has said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AttemptLogs {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Lines before these that were not kept: 500 lines and 64 KiB are, the last ones.
    pub dropped: u64,
    /// Its lines, the oldest first.
    pub lines: Vec<LogLine>,
}

impl LogLine {
    /// A line that can be kept: its message is cut after [`MAX_MESSAGE`] characters, and has no NUL.
    #[must_use]
    pub fn new(at: Timestamp, level: LogLevel, message: &str) -> Self {
        // (Postgres holds no NUL in a text.)
        let message = message.chars().filter(|c| *c != '\0').take(MAX_MESSAGE).collect();
        Self { at, level, message }
    }
}

/// The last lines of an attempt, bounded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped: u64,
}

impl Lines {
    pub(crate) fn push(&mut self, line: LogLine) {
        self.bytes += line.message.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.message.len();
            self.dropped += 1;
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.dropped += more.dropped;
        more.lines.into_iter().for_each(|line| self.push(line));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LogLine> {
        self.lines.iter()
    }
}

/// What a run says while it goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunLogs(Arc<Mutex<Lines>>);

impl RunLogs {
    fn push(&self, line: LogLine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What was said so far; from now on nothing.
    pub(crate) fn take(&self) -> Lines {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether this process has the layer.
static IS_THERE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// For the span that is made next on this thread.
    static NEXT: RefCell<Option<RunLogs>> = const { RefCell::new(None) };
}

/// Makes the span of a run. Where the process has the layer, what is said in the span comes into the logs that are returned.
pub(crate) fn capture(span: impl FnOnce() -> Span) -> (Span, Option<RunLogs>) {
    if !IS_THERE.load(Ordering::Relaxed) {
        return (span(), None);
    }
    let logs = RunLogs::default();
    NEXT.set(Some(logs.clone()));
    let span = span();
    NEXT.set(None);
    (span, Some(logs))
}

/// A layer for the process's subscriber that keeps what bodies of jobs say: each event of this level or a graver one within the
/// span of an attempt, also on other tasks that were spawned with `in_current_span`. An attempt's lines are written when it
/// ends, 500 and 64 KiB of them at most, the last ones; one that says nothing costs nothing.
///
/// ```
/// use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _};
///
/// let subscriber = tracing_subscriber::registry().with(gristmill_queue::logs::layer(LevelFilter::INFO));
/// # let _ = subscriber;
/// ```
pub fn layer<S>(level: LevelFilter) -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Capture.with_filter(WithinJobs(level))
}

struct Capture;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_layer(&mut self, _: &mut S) {
        IS_THERE.store(true, Ordering::Relaxed);
    }

    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(logs) = NEXT.take()
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(logs);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The innermost attempt around it, also from a task that was spawned in a span of its own.
        let mut around = context.event_scope(event).into_iter().flatten();
        let logs = around.find_map(|span| span.extensions().get::<RunLogs>().cloned());
        if let Some(logs) = logs {
            let level = match *event.metadata().level() {
                Level::ERROR => LogLevel::Error,
                Level::WARN => LogLevel::Warn,
                Level::INFO => LogLevel::Info,
                Level::DEBUG => LogLevel::Debug,
                Level::TRACE => LogLevel::Trace,
            };
            let mut text = Text::default();
            event.record(&mut text);
            logs.push(LogLine::new(Timestamp::now(), level, &text.finish()));
        }
    }
}

/// Spans, by which an event's attempt is found, and events that matter enough, but for the queue's own.
struct WithinJobs(LevelFilter);

impl WithinJobs {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            *metadata.level() <= self.spans()
        } else {
            *metadata.level() <= self.0 && !metadata.target().starts_with("gristmill_queue")
        }
    }

    /// The span of an attempt is among these.
    fn spans(&self) -> LevelFilter {
        self.0.max(LevelFilter::INFO)
    }
}

impl<S> Filter<S> for WithinJobs {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.spans())
    }
}

/// An event as a text: its message, and its fields behind it.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        if self.message.is_empty() { self.fields.trim_start().to_owned() } else { self.message + &self.fields }
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // (A text takes all that is written.)
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{}", gristmill_core::chain(value)));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Instrument as _, info, info_span, warn};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn said(lines: &Lines) -> Vec<(LogLevel, &str)> {
        lines.iter().map(|line| (line.level, line.message.as_str())).collect()
    }

    #[test]
    fn the_last_lines_are_kept_and_the_others_counted() {
        let mut lines = Lines::default();
        for n in 0..MAX_LINES + 7 {
            lines.push(LogLine::new(Timestamp::now(), LogLevel::Info, &n.to_string()));
        }
        assert_eq!((lines.iter().count(), lines.dropped()), (MAX_LINES, 7));
        assert_eq!(lines.iter().next().unwrap().message, "7");
        for _ in 0..10 {
            lines.push(LogLine::new(Timestamp::now(), LogLevel::Info, &"é\0".repeat(2 * MAX_MESSAGE)));
        }
        assert!(lines.bytes <= MAX_BYTES && lines.iter().last().unwrap().message == "é".repeat(MAX_MESSAGE));
        assert_eq!(lines.iter().count(), MAX_BYTES / (2 * MAX_MESSAGE));
    }

    #[tokio::test]
    async fn what_is_said_in_the_span_of_a_run_is_its_own() {
        let subscriber = tracing_subscriber::registry().with(layer(LevelFilter::INFO));
        // With one subscriber alone, what another test's thread comes to first matters to nobody (tracing-core's `has_just_one`).
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(subscriber);
        let (span, logs) = capture(|| info_span!(target: "gristmill_queue", "job"));
        let (other, others) = capture(|| info_span!(target: "gristmill_queue", "job"));
        let (logs, others) = (logs.unwrap(), others.unwrap());
        info!(target: "app", "nobody's");
        async {
            info!(target: "app", rows = 7, name = "a b", "written");
            tracing::debug!(target: "app", "too small");
            info!(target: "gristmill_queue::run", "the queue's own");
            async { warn!(target: "app", error = "no", "within") }.instrument(info_span!(target: "app", "part")).await;
        }
        .instrument(span)
        .await;
        other.in_scope(|| info!(target: "app", only = "fields"));
        let expected = [(LogLevel::Info, "written rows=7 name=a b"), (LogLevel::Warn, "within error=no")];
        assert_eq!(said(&logs.take()), expected);
        assert_eq!(said(&others.take()), [(LogLevel::Info, "only=fields")]);
        assert!(logs.take().is_empty());
    }
}
