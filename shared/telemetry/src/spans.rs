//! Spans by OTLP, over HTTP, to whoever collects them. Off unless an endpoint is given.

mod send;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as Export};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::{Telemetry, TelemetryError};

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// How long the last spans of a process may take to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Crates whose spans are not exported: that of the exporter's own connection would make spans that it then has to export, and what
/// is said below an application's statements and calls is much, and not its own.
const BELOW: [&str; 11] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_http",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "reqwest",
    "rustls",
    "sqlx",
    "tonic",
];

/// What hands spans to the exporter, when there is one: ours, and of an application's own those that its log filter lets through.
pub(super) fn layer<S>(config: &Telemetry) -> Result<Option<impl Layer<S> + use<S>>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(endpoint) = config.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(send::Client::new()?)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder().with_service_name(config.service_name.clone()).build();
    let exporter = NamedSpans { exporter, failing: AtomicBool::new(false) };
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = PROVIDER.get_or_init(|| provider).tracer("gristmill");
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false);
    let ours = filter_fn(|meta| is_ours(meta.target()) && *meta.level() <= Level::INFO);
    let ours = ours.with_max_level_hint(LevelFilter::INFO);
    let others = filter_fn(|meta| !is_ours(meta.target()) && !BELOW.contains(&krate(meta.target())));
    let others = others.with_max_level_hint(LevelFilter::TRACE).and(crate::filter(&config.filter)?);
    Ok(Some(layer.with_filter(ours.or(others))))
}

fn is_ours(target: &str) -> bool {
    let krate = krate(target);
    krate == "gristmill" || krate.starts_with("gristmill_")
}

fn krate(target: &str) -> &str {
    target.split_once("::").map_or(target, |(krate, _)| krate)
}

/// Sends the spans that are still here. Call it last.
pub(super) async fn finish() {
    let Some(provider) = PROVIDER.get() else { return };
    // It waits for the exporter's thread.
    let finished = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
    if let Ok(Err(error)) = finished {
        tracing::warn!(%error, "the last spans could not be sent");
    }
}

/// Spans by the names and kinds that tools for traces expect. They are given here, not where the spans are made, so that
/// log lines do not carry them.
#[derive(Debug)]
struct NamedSpans {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl Export for NamedSpans {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(name);
        let (spans, result) = (batch.len(), self.exporter.export(batch).await);
        match (&result, self.failing.swap(result.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => tracing::warn!(%error, spans, "spans cannot be sent, and are lost until they can"),
            (Ok(()), true) => tracing::info!("spans can be sent again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn name(span: &mut SpanData) {
    let attribute = |key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.as_str().into_owned())
    };
    let named = match &*span.name {
        "request" => attribute("method")
            .zip(attribute("route"))
            .map(|(method, route)| (SpanKind::Server, format!("{method} {route}"))),
        "job" if attribute("messaging.system").as_deref() == Some("gristmill") => {
            attribute("name").map(|name| (SpanKind::Consumer, name))
        }
        _ => None,
    };
    if let Some((kind, name)) = named {
        span.span_kind = kind;
        span.name = name.into();
    }
}
