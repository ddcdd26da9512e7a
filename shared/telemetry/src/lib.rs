//! Logs, metrics and spans of a process.

mod process;
#[cfg(feature = "otlp")]
mod spans;

use std::fs::File;
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Identity, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// What a file's owner may, and nobody else: logs name customers.
const OWNER_ONLY: u32 = 0o600;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logs {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What a process says of itself, and how.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// How log lines look.
    pub logs: Logs,
    /// What is logged: a level, or levels by module such as `info,sqlx=warn`.
    pub filter: String,
    /// Where spans go by OTLP over HTTP, such as `http://localhost:4318`; nowhere unless given. Needs the feature `otlp`.
    pub otlp_endpoint: Option<String>,
    /// What this installation is called in traces.
    pub service_name: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { logs: Logs::Text, filter: "info".into(), otlp_endpoint: None, service_name: "gristmill".into() }
    }
}

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("`{filter}` is not a log filter such as `info` or `info,sqlx=warn`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The log file cannot be opened.
    #[error("the log file {} cannot be written", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Spans cannot be exported.
    #[cfg(feature = "otlp")]
    #[error("spans cannot be exported as the settings say")]
    Spans(#[from] opentelemetry_otlp::ExporterBuildError),
    /// An endpoint was given, and there is nothing that could send to it.
    #[cfg(not(feature = "otlp"))]
    #[error("spans are to go to {0}, and this program was built without the feature `otlp`")]
    NoSpans(String),
    /// It was set up before.
    #[error("logs are set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

impl Telemetry {
    /// Logs to standard error, and from now on records metrics, panics and, where it is asked for, spans: call [`finish`]
    /// at the end. Within a runtime, which is to have several threads.
    ///
    /// # Errors
    /// When a setting cannot be read, or logs are set up already.
    pub fn init(&self) -> Result<(), TelemetryError> {
        self.init_with(None::<Identity>)
    }

    /// The same, and a layer more that hears what is said.
    ///
    /// # Errors
    /// As [`Telemetry::init`].
    pub fn init_with<L>(&self, more: Option<L>) -> Result<(), TelemetryError>
    where
        L: Layer<Registry> + Send + Sync + 'static,
    {
        let ansi = std::io::stderr().is_terminal();
        let layer = lines(self.logs, ansi, std::io::stderr).with_filter(filter(&self.filter)?);
        let spans = self.spans()?;
        tracing_subscriber::registry().with(more).with(layer).with(spans).try_init()?;
        watch();
        Ok(())
    }

    /// Logs to a file, and only errors of our own to standard error too, a line each: for a process that talks to a person
    /// there. Warnings (a slow statement, with all its lines) are for the log.
    ///
    /// # Errors
    /// As [`Telemetry::init`], and when the file cannot be written.
    pub fn init_to_file(&self, path: &Path) -> Result<(), TelemetryError> {
        let wrong = |source| TelemetryError::File { path: path.into(), source };
        let file = File::options().create(true).append(true).mode(OWNER_ONLY).open(path).map_err(wrong)?;
        let to_file = lines(self.logs, false, file).with_filter(filter(&self.filter)?);
        let ansi = std::io::stderr().is_terminal();
        let ours = EnvFilter::builder().parse_lossy("off,gristmill=error");
        let to_person = lines(Logs::Text, ansi, std::io::stderr).with_filter(ours);
        let spans = self.spans()?;
        tracing_subscriber::registry().with(to_file).with(to_person).with(spans).try_init()?;
        watch();
        Ok(())
    }

    #[cfg(feature = "otlp")]
    fn spans<S>(&self) -> Result<Option<impl Layer<S> + use<S>>, TelemetryError>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        spans::layer(self)
    }

    #[cfg(not(feature = "otlp"))]
    fn spans(&self) -> Result<Option<Identity>, TelemetryError> {
        match self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
            Some(endpoint) => Err(TelemetryError::NoSpans(endpoint.into())),
            None => Ok(None),
        }
    }
}

/// Sends the spans that are still here. Call it last.
pub async fn finish() {
    #[cfg(feature = "otlp")]
    spans::finish().await;
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    builder.parse(text).map_err(|source| TelemetryError::Filter { filter: text.to_owned(), source })
}

fn lines<S, W>(format: Logs, ansi: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_ansi(ansi).with_writer(writer);
    match format {
        Logs::Text => layer.boxed(),
        Logs::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn watch() {
    metrics();
    let default = std::panic::take_hook();
    let logged = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        metrics::counter!("gristmill_panics_total").increment(1);
        tracing::error!(
            place,
            thread = thread.name().unwrap_or_default(),
            message = panic.payload_as_str().unwrap_or_default(),
            "panic"
        );
        // a panic of the main thread ends the process: it must be seen even when the log is not
        if thread.id() == logged {
            default(panic);
        }
    }));
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// What `/metrics` answers: Prometheus' text format.
    pub fn render(&self) -> String {
        process::measure();
        self.0.render()
    }
}

/// The process's metrics; recorded from the first call on.
pub fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(install).clone()
}

/// From a twentieth of a millisecond, a dispatch, to an hour, the wait in a long line.
const SECONDS: [f64; 20] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
    120.0, 600.0, 3600.0,
];

fn install() -> Metrics {
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let recorder = builder.expect("there are buckets").build_recorder();
    let handle = recorder.handle();
    // Another recorder is there only when a test brought its own; ours then stays empty.
    let _ = metrics::set_global_recorder(recorder);
    process::describe();
    metrics::describe_counter!("gristmill_panics_total", "Panics, including those of jobs");
    metrics::counter!("gristmill_panics_total").increment(0);
    let upkeep = handle.clone();
    // Without upkeep, a histogram that nobody asks for grows for ever.
    let spawned = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(5));
            upkeep.run_upkeep();
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "the metrics' upkeep does not run");
    }
    Metrics(handle)
}
