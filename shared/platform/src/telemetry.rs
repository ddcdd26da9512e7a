//! Logs, metrics and spans of a process, as its settings say.

use std::path::Path;

use gristmill_telemetry::{Logs, Telemetry};
pub use gristmill_telemetry::{Metrics, TelemetryError, finish, metrics};
use tracing::level_filters::LevelFilter;

use crate::config::{LogFormat, TelemetryConfig};

/// Logs to standard error, keeps what jobs say, and from now on records metrics, panics and, where it is asked for, spans: call [`finish`] at
/// the end. Within a runtime, which is to have several threads.
///
/// # Errors
/// When a setting cannot be read, or logs are set up already.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let keeps = config.job_logs != LevelFilter::OFF;
    settings(config).init_with(keeps.then(|| gristmill_queue::logs::layer(config.job_logs)))
}

/// Logs to a file, and only errors of our own to standard error too, a line each: for a process that talks to a person
/// there. Warnings (a slow statement, with all its lines) are for the log.
///
/// # Errors
/// As [`init`], and when the file cannot be written.
pub fn init_to_file(config: &TelemetryConfig, path: &Path) -> Result<(), TelemetryError> {
    settings(config).init_to_file(path)
}

fn settings(config: &TelemetryConfig) -> Telemetry {
    let logs = match config.log_format {
        LogFormat::Text => Logs::Text,
        LogFormat::Json => Logs::Json,
    };
    Telemetry {
        logs,
        filter: config.log.clone(),
        otlp_endpoint: config.otlp_endpoint.clone(),
        service_name: config.service_name.clone(),
    }
}
