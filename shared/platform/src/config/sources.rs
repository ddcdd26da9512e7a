use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use tracing::level_filters::LevelFilter;

use super::{default_by_clap, parse_duration, range::some_time};

/// Postgres: the truth.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Postgres")]
pub struct DatabaseConfig {
    /// Postgres, such as postgres://user:password@host/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,

    /// Connections a process may hold
    #[arg(long, env = "GRISTMILL_DATABASE_POOL", default_value_t = 10, value_name = "N")]
    pub database_pool: u32,

    /// How long to wait for a free connection, and for a server that is starting
    #[arg(long, env = "GRISTMILL_DATABASE_TIMEOUT", default_value = "30s", value_parser = some_time, value_name = "TIME")]
    pub database_timeout: Duration,
}

/// Redis: the speed.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisConfig {
    /// Redis, such as redis://:password@host:6379
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<SecretString>,

    /// Prefix of every key, so that several installations can share one Redis
    #[arg(long, env = "GRISTMILL_REDIS_NAMESPACE", default_value = "gm", value_name = "NAME")]
    pub redis_namespace: String,

    /// Jobs of one queue that Redis holds; a longer backlog waits in Postgres and is refilled from there
    #[arg(long, env = "GRISTMILL_REDIS_WINDOW", default_value_t = 50_000, value_name = "N")]
    pub redis_window: u64,
}

impl RedisConfig {
    /// The URL, or what to do when there is none.
    pub fn url(&self) -> Result<&str, NoRedisUrl> {
        self.redis_url.as_ref().map(ExposeSecret::expose_secret).ok_or(NoRedisUrl)
    }
}

/// No URL of Redis was given.
#[derive(Debug, thiserror::Error)]
#[error("no Redis was given: set REDIS_URL, or let `gristmill up` start a private one")]
pub struct NoRedisUrl;

/// The object store: where chunks wait for their worker.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Object store")]
pub struct StoreConfig {
    /// A folder that every role sees, or s3://bucket/prefix, gs://bucket/prefix, az://container/prefix (with the cloud's
    /// usual AWS_*, GOOGLE_* or AZURE_* variables) [default: objects in the data folder]
    #[arg(long, env = "GRISTMILL_STORE_URL", value_name = "URL")]
    pub store_url: Option<String>,

    /// Whether a local folder's files are forced to disk before they count as written
    #[arg(long, env = "GRISTMILL_STORE_FSYNC", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub store_fsync: bool,

    /// How long the chunks' objects of a closed upload stay in the object store
    #[arg(long, env = "GRISTMILL_KEEP_OBJECTS", default_value = "0s", value_parser = parse_duration, value_name = "TIME")]
    pub keep_objects: Duration,
}

/// Logs and spans.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs and traces")]
pub struct TelemetryConfig {
    /// Lines for people or for machines
    #[arg(long, env = "GRISTMILL_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What is logged: a level, or levels by module such as info,sqlx=warn
    #[arg(long, env = "GRISTMILL_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,

    /// What jobs say is kept with them from this level on: off, error, warn, info, debug or trace
    #[arg(long, env = "GRISTMILL_JOB_LOGS", default_value = "info", value_parser = job_logs, value_name = "LEVEL")]
    pub job_logs: LevelFilter,

    /// Where traces go by OTLP over HTTP, such as http://localhost:4318; nowhere unless given
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// What this installation is called in traces
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "gristmill", value_name = "NAME")]
    pub service_name: String,
}

fn job_logs(text: &str) -> Result<LevelFilter, String> {
    let known = ["off", "error", "warn", "info", "debug", "trace"].contains(&text);
    let level = known.then(|| text.parse().ok()).flatten();
    level.ok_or_else(|| "there are off, error, warn, info, debug and trace".to_owned())
}

/// How log lines look.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

default_by_clap!(DatabaseConfig, RedisConfig, StoreConfig, TelemetryConfig);

/// The variables by which the clouds' own tools are configured, for the object store (`AWS_ACCESS_KEY_ID` and so on).
pub fn cloud_options() -> Vec<(String, String)> {
    const CLOUDS: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
    let known =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    known.filter(|(name, _)| CLOUDS.iter().any(|cloud| name.starts_with(cloud))).collect()
}
