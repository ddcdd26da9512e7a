use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::{
    DatabaseConfig, PayloadConfig, RedisConfig, StoreConfig, TelemetryConfig, default_by_clap, parse_bytes,
    parse_duration, range::some_time,
};

/// What every role needs, whatever it does: where the truth, the speed and the chunks are, and how it tells of itself.
#[derive(Args, Clone, Debug)]
pub struct RoleConfig {
    #[command(flatten)]
    #[doc = "The truth."]
    pub database: DatabaseConfig,
    #[command(flatten)]
    #[doc = "The speed."]
    pub redis: RedisConfig,
    #[command(flatten)]
    #[doc = "How payloads are kept."]
    pub payloads: PayloadConfig,
    #[command(flatten)]
    #[doc = "Where chunks are."]
    pub store: StoreConfig,
    #[command(flatten)]
    #[doc = "Where its metrics and health are."]
    pub monitor: MonitorConfig,
    #[command(flatten)]
    #[doc = "Its logs."]
    pub telemetry: TelemetryConfig,
}

/// The HTTP API.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "API")]
pub struct ApiConfig {
    /// Where the API listens; port 0 takes a free one
    #[arg(long, env = "GRISTMILL_ADDR", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub addr: SocketAddr,

    /// How long the client of an upload may be silent before the upload fails
    #[arg(long, env = "GRISTMILL_BODY_TIMEOUT", default_value = "60s", value_parser = some_time, value_name = "TIME")]
    pub body_timeout: Duration,

    /// The least bytes per second of an upload, measured over 30 s of waiting for its client; 0 for no limit
    #[arg(long, env = "GRISTMILL_BODY_MIN_RATE", default_value = "1KiB", value_parser = parse_bytes, value_name = "BYTES")]
    pub body_min_rate: u64,

    /// How long a client may take to send a request's header, or a body that is no file, or leave a connection idle
    #[arg(long, env = "GRISTMILL_HEADER_TIMEOUT", default_value = "30s", value_parser = some_time, value_name = "TIME")]
    pub header_timeout: Duration,

    /// How long running requests may take to end when the API stops
    #[arg(long, env = "GRISTMILL_API_GRACE", default_value = "20s", value_parser = parse_duration, value_name = "TIME")]
    pub api_grace: Duration,

    /// How often a silent stream of events sends a heartbeat and checks the database for the upload's end
    #[arg(long, env = "GRISTMILL_HEARTBEAT", default_value = "15s", value_parser = some_time, value_name = "TIME")]
    pub heartbeat: Duration,

    /// The origins whose pages in a browser may use the API (CORS), such as `https://files.example.com`, or `*` for all; none unless given
    #[arg(long, env = "GRISTMILL_CORS_ORIGINS", value_delimiter = ',', value_name = "ORIGINS")]
    pub cors_origins: Vec<String>,
}

/// A worker process.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Worker")]
pub struct WorkerConfig {
    /// Chunks that a process loads at the same time
    #[arg(long, env = "GRISTMILL_WORKER_CONCURRENCY", default_value_t = 1, value_name = "N")]
    pub worker_concurrency: usize,

    /// A name for people; a worker's identity is a random id
    #[arg(long, env = "GRISTMILL_WORKER_LABEL", default_value = "worker", value_name = "NAME")]
    pub worker_label: String,

    /// How long running jobs may take to end when the worker stops
    #[arg(long, env = "GRISTMILL_WORKER_GRACE", default_value = "20s", value_parser = parse_duration, value_name = "TIME")]
    pub worker_grace: Duration,

    /// How long a silent worker keeps its jobs; they run elsewhere after this and a second
    #[arg(long, env = "GRISTMILL_LEASE", default_value = "6s", value_parser = some_time, value_name = "TIME")]
    pub lease: Duration,

    /// How many worker crashes one job may cause; after that a chunk is bisected to find the bad record, and any other job is dead
    #[arg(long, env = "GRISTMILL_MAX_DELIVERIES", default_value_t = 10, value_name = "N")]
    pub max_deliveries: u32,

    /// Memory for what says which keys came before: 3.4 MB a million rows of the client whose file is compared. What is more is read again for each file
    #[arg(long, env = "GRISTMILL_FILTER_MEMORY", default_value = "512MiB", value_parser = parse_bytes, value_name = "BYTES")]
    pub filter_memory: u64,
}

/// The scheduler: the relay's sweep, healing, retention and audits.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scheduler")]
pub struct SchedulerConfig {
    /// How often the invariants are audited
    #[arg(long, env = "GRISTMILL_AUDIT_EVERY", default_value = "30s", value_parser = some_time, value_name = "TIME")]
    pub audit_every: Duration,

    /// How long completed and cancelled jobs stay in the ledger
    #[arg(long, env = "GRISTMILL_KEEP_JOBS", default_value = "7d", value_parser = parse_duration, value_name = "TIME")]
    pub keep_jobs: Duration,

    /// How long the rows of completed uploads stay when nothing needs them any more; then they are dropped by whole partitions. `0s` for ever
    #[arg(long, env = "GRISTMILL_KEEP_ROWS", default_value = "0s", value_parser = parse_duration, value_name = "TIME")]
    pub keep_rows: Duration,

    /// How long dead jobs stay in the ledger, for an operator to redrive or discard; `0s` for ever
    #[arg(long, env = "GRISTMILL_KEEP_DEAD", default_value = "90d", value_parser = parse_duration, value_name = "TIME")]
    pub keep_dead: Duration,

    /// How long an open group may go without a new or an ended member: then it fails, as its creator is gone. After half of that time an alert fires
    #[arg(long, env = "GRISTMILL_UNSEALED_GROUPS", default_value = "24h", value_parser = some_time, value_name = "TIME")]
    pub unsealed_groups: Duration,

    /// How long mails that are kept in the object store stay there
    #[arg(long, env = "GRISTMILL_KEEP_MAILS", default_value = "30d", value_parser = parse_duration, value_name = "TIME")]
    pub keep_mails: Duration,

    /// How long the answers to requests of `POST /v1/normalizations` can be read
    #[arg(long, env = "GRISTMILL_KEEP_NORMALIZATIONS", default_value = "30d", value_parser = parse_duration, value_name = "TIME")]
    pub keep_normalizations: Duration,

    /// When bills are created, as a cron expression in UTC; `off` for never [default of `up`: every minute]
    #[arg(long, env = "GRISTMILL_BILLING_SCHEDULE", default_value = "0 9 * * *", value_name = "CRON")]
    pub billing_schedule: String,

    /// Grace period in which a completed upload can be undone; the schedule bills it after that
    #[arg(long, env = "GRISTMILL_BILLING_SETTLE", default_value = "2m", value_parser = parse_duration, value_name = "TIME")]
    pub billing_settle: Duration,

    /// When reminders of bills are looked for, as a cron expression in UTC (mails go out from nine in the morning by each client's clock); `off` for never
    #[arg(long, env = "GRISTMILL_DUNNING_SCHEDULE", default_value = "*/10 * * * *", value_name = "CRON")]
    pub dunning_schedule: String,

    /// When payments of claims that have failed for good are tried again, as a cron expression in UTC; `off` for never
    #[arg(long, env = "GRISTMILL_PAYMENTS_REDRIVE_SCHEDULE", default_value = "*/10 * * * *", value_name = "CRON")]
    pub payments_redrive_schedule: String,
}

/// `/metrics`, `/healthz` and `/readyz` of a role.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Monitoring")]
pub struct MonitorConfig {
    /// Where a role answers /metrics, /healthz and /readyz; port 0 takes a free one
    #[arg(long, env = "GRISTMILL_MONITOR_ADDR", default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub monitor_addr: SocketAddr,
}

default_by_clap!(RoleConfig, ApiConfig, WorkerConfig, SchedulerConfig, MonitorConfig);
