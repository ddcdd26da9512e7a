//! Spans by OTLP, over HTTP, to whoever collects them. Off unless an endpoint is given.

mod send;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as Export};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, filter};

use crate::config::TelemetryConfig;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// How long the last spans of a process may take to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// What hands spans to the exporter, when there is one.
pub(super) fn layer<S>(config: &TelemetryConfig) -> Result<Option<impl Layer<S> + use<S>>, ExporterBuildError>
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
    // Ours only: the exporter's own connection, say, must not make spans that it then has to export.
    let ours = filter_fn(|meta| meta.target().starts_with("gristmill")).with_max_level_hint(LevelFilter::INFO);
    Ok(Some(layer.with_filter(filter::FilterExt::and(ours, LevelFilter::INFO))))
}

/// Sends the spans that are still here. Call it last.
pub async fn finish() {
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
        found.map(|attribute| attribute.value.as_str().into_owned()).unwrap_or_default()
    };
    let (kind, name) = match &*span.name {
        "request" => (SpanKind::Server, format!("{} {}", attribute("method"), attribute("route"))),
        "job" => (SpanKind::Consumer, attribute("name")),
        _ => return,
    };
    span.span_kind = kind;
    span.name = name.into();
}
