//! What an application is set by.

use std::{fmt, net::SocketAddr, str::FromStr, sync::Arc, time::Duration};

use gristmill_queue::{BrokerConfig, Codec, Schema};
use gristmill_telemetry::{Logs, Telemetry};
use tracing::level_filters::LevelFilter;

use crate::Error;

/// Which part of an application a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// All of it.
    #[default]
    All,
    /// It runs jobs.
    Worker,
    /// It looks after them: sweeps, fires schedules, prunes.
    Scheduler,
    /// It serves the application's routes, which enqueue.
    Web,
}

impl Role {
    pub(crate) fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }

    pub(crate) fn looks_after(self) -> bool {
        matches!(self, Self::All | Self::Scheduler)
    }

    pub(crate) fn serves(self) -> bool {
        matches!(self, Self::All | Self::Web)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Web => "web",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "worker" => Ok(Self::Worker),
            "scheduler" => Ok(Self::Scheduler),
            "web" => Ok(Self::Web),
            _ => Err("there are all, worker, scheduler and web".to_owned()),
        }
    }
}

/// What an application is set by: [`Settings::from_env`], or by hand.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `DATABASE_URL`: Postgres.
    pub database_url: Option<String>,
    /// `GRISTMILL_DATABASE_POOL`: connections that the process may hold; 10.
    pub database_pool: u32,
    /// `GRISTMILL_DATABASE_TIMEOUT`: how long to wait for a connection, and at the start for a server that is starting; 30 s.
    pub database_timeout: Duration,
    /// `REDIS_URL`: Redis as the broker. None: Postgres is the broker, too. `GRISTMILL_BROKER` may name it: `redis` or `postgres`,
    /// which leaves a URL aside.
    pub redis_url: Option<String>,
    /// `GRISTMILL_REDIS_NAMESPACE`: the prefix of every key, so that applications can share a Redis; `gm`.
    pub namespace: String,
    /// `GRISTMILL_SCHEMA`: the schema of the queue's tables, so that applications can share a database; `gristmill`.
    pub schema: Schema,
    /// `GRISTMILL_PAYLOAD_KEYS`: what payloads, results and steps are encrypted with before Postgres and Redis have them, as
    /// `id:base64,id:base64` (feature `encryption`). By hand: an [`Encryption`](gristmill_queue::Encryption), or a codec of your own.
    pub codec: Option<Arc<dyn Codec>>,
    /// `GRISTMILL_ROLE`, or the program's first argument.
    pub role: Role,
    /// `GRISTMILL_SLOTS`: jobs that run at a time of each queue that does not say; 16.
    pub slots: usize,
    /// `GRISTMILL_WORKER_LABEL`: a name for people; the program's.
    pub label: String,
    /// `GRISTMILL_WORKER_GRACE`: how long running jobs may take to end when the process stops; 25 s.
    pub grace: Duration,
    /// `GRISTMILL_LEASE`: how long a silent worker keeps its jobs; 6 s.
    pub lease: Duration,
    /// `GRISTMILL_KEEP_JOBS`: how long completed and cancelled jobs stay; 7 days.
    pub keep_jobs: Duration,
    /// `GRISTMILL_KEEP_DEAD`: how long dead jobs stay; 90 days, 0 for ever.
    pub keep_dead: Duration,
    /// `GRISTMILL_UNSEALED_GROUPS`: how long a group that is not sealed, and in which nothing comes or ends, waits for who made it
    /// until it has failed; 24 hours, 0 for ever.
    pub unsealed_groups: Duration,
    /// `GRISTMILL_MONITOR_ADDR`: where `/metrics`, `/healthz` and `/readyz` are; a free port of 127.0.0.1. None: the program answers for
    /// its health itself.
    pub monitor_addr: Option<SocketAddr>,
    /// `GRISTMILL_ADDR`: where the application's routes are; 127.0.0.1:8080.
    pub addr: SocketAddr,
    /// Logs and spans: `GRISTMILL_LOG` (or `RUST_LOG`), `GRISTMILL_LOG_FORMAT`, `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`.
    /// None: the program has set up its own.
    pub telemetry: Option<Telemetry>,
    /// `GRISTMILL_JOB_LOGS`: what handlers say with `tracing` is kept with their jobs, from this level on: `info`, unless it is
    /// `off`, `error`, `warn`, `debug` or `trace`. Where `telemetry` is none, the program adds the layer itself:
    /// [`logs::layer`](gristmill_queue::logs::layer).
    pub job_logs: LevelFilter,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database_url: None,
            database_pool: 10,
            database_timeout: Duration::from_secs(30),
            redis_url: None,
            namespace: "gm".into(),
            schema: Schema::default(),
            codec: None,
            role: Role::default(),
            slots: 16,
            label: "app".into(),
            grace: Duration::from_secs(25),
            lease: Duration::from_secs(6),
            keep_jobs: Duration::from_hours(7 * 24),
            keep_dead: Duration::from_hours(90 * 24),
            unsealed_groups: Duration::from_hours(24),
            monitor_addr: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            telemetry: Some(Telemetry::default()),
            job_logs: LevelFilter::INFO,
        }
    }
}

impl Settings {
    /// From the environment. A variable that is set and empty is as good as not set.
    ///
    /// # Errors
    /// Returns [`Error::Setting`] for a value that cannot be read.
    pub fn from_env() -> Result<Self, Error> {
        let mut arguments = std::env::args();
        let program = arguments.next();
        let mut settings = Self::read(variable)?;
        if let Some(role) = arguments.next().and_then(|word| word.parse().ok()) {
            settings.role = role;
        }
        if variable("GRISTMILL_WORKER_LABEL").is_none()
            && let Some(name) = program.as_deref().and_then(|path| path.rsplit('/').next())
        {
            name.clone_into(&mut settings.label);
        }
        Ok(settings)
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut settings =
            Self { database_url: variable("DATABASE_URL"), redis_url: variable("REDIS_URL"), ..Self::default() };
        let mut telemetry = Telemetry { service_name: "app".into(), ..Telemetry::default() };
        if let Some(name) = variable("GRISTMILL_REDIS_NAMESPACE") {
            settings.namespace = name;
        }
        if let Some(label) = variable("GRISTMILL_WORKER_LABEL") {
            settings.label = label;
        }
        if let Some(filter) = variable("GRISTMILL_LOG").or_else(|| variable("RUST_LOG")) {
            telemetry.filter = filter;
        }
        telemetry.otlp_endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
        if let Some(name) = variable("OTEL_SERVICE_NAME") {
            telemetry.service_name = name;
        }
        let logs = |text: &str| match text {
            "text" => Ok(Logs::Text),
            "json" => Ok(Logs::Json),
            _ => Err("there are text and json".to_owned()),
        };
        set(&variable, "GRISTMILL_LOG_FORMAT", logs, &mut telemetry.logs)?;
        let url = settings.redis_url.clone();
        let broker = |name: &str| match BrokerConfig::from_settings(Some(name), url.as_deref()) {
            Ok(BrokerConfig::Redis { url }) => Ok(Some(url)),
            Ok(_) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        set(&variable, "GRISTMILL_BROKER", broker, &mut settings.redis_url)?;
        set(&variable, "GRISTMILL_DATABASE_POOL", number, &mut settings.database_pool)?;
        set(&variable, "GRISTMILL_DATABASE_TIMEOUT", duration, &mut settings.database_timeout)?;
        set(
            &variable,
            "GRISTMILL_SCHEMA",
            |text| Schema::new(text).map_err(|error| error.to_string()),
            &mut settings.schema,
        )?;
        if let Some(keys) = variable(PAYLOAD_KEYS) {
            settings.codec = Some(codec(&keys)?);
        }
        set(&variable, "GRISTMILL_ROLE", str::parse, &mut settings.role)?;
        set(&variable, "GRISTMILL_SLOTS", number, &mut settings.slots)?;
        set(&variable, "GRISTMILL_WORKER_GRACE", duration, &mut settings.grace)?;
        set(&variable, "GRISTMILL_LEASE", duration, &mut settings.lease)?;
        set(&variable, "GRISTMILL_KEEP_JOBS", duration, &mut settings.keep_jobs)?;
        set(&variable, "GRISTMILL_KEEP_DEAD", duration, &mut settings.keep_dead)?;
        set(&variable, "GRISTMILL_UNSEALED_GROUPS", duration, &mut settings.unsealed_groups)?;
        set(&variable, "GRISTMILL_MONITOR_ADDR", |text| address(text).map(Some), &mut settings.monitor_addr)?;
        set(&variable, "GRISTMILL_ADDR", address, &mut settings.addr)?;
        let level = |text: &str| match text {
            "off" | "error" | "warn" | "info" | "debug" | "trace" => text.parse().map_err(|_| LEVELS.to_owned()),
            _ => Err(LEVELS.to_owned()),
        };
        set(&variable, "GRISTMILL_JOB_LOGS", level, &mut settings.job_logs)?;
        settings.telemetry = Some(telemetry);
        Ok(settings)
    }
}

const PAYLOAD_KEYS: &str = "GRISTMILL_PAYLOAD_KEYS";

/// What these keys encrypt by. An error shows none of them.
#[cfg(feature = "encryption")]
fn codec(keys: &str) -> Result<Arc<dyn Codec>, Error> {
    let encryption = keys.parse::<gristmill_queue::Encryption>();
    Ok(Arc::new(encryption.map_err(|problem| hidden(problem.to_string()))?))
}

#[cfg(not(feature = "encryption"))]
fn codec(_: &str) -> Result<Arc<dyn Codec>, Error> {
    Err(hidden("the program is built without the feature `encryption` of the crate `gristmill`".to_owned()))
}

fn hidden(problem: String) -> Error {
    Error::Setting { name: PAYLOAD_KEYS, value: "…".to_owned(), problem }
}

const LEVELS: &str = "there are off, error, warn, info, debug and trace";

/// Passwords stand in the URLs.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("namespace", &self.namespace)
            .field("schema", &self.schema)
            .field("role", &self.role)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment is looked at here, at the edge of an application")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn set<T>(
    variable: impl Fn(&str) -> Option<String>,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
    setting: &mut T,
) -> Result<(), Error> {
    if let Some(value) = variable(name) {
        *setting = read(&value).map_err(|problem| Error::Setting { name, value, problem })?;
    }
    Ok(())
}

fn number<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| "it is a whole number from 1".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it is an address and a port, such as 127.0.0.1:9100".to_owned())
}

/// `30s`, `10m`, `2h`, `7d` or `250ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || "it is a duration such as 250ms, 30s, 10m, 2h or 7d".to_owned();
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::read(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_is_set_is_read() {
        let variables = [
            ("DATABASE_URL", "postgres://a"),
            ("GRISTMILL_SCHEMA", "shop"),
            ("GRISTMILL_ROLE", "worker"),
            ("GRISTMILL_SLOTS", "4"),
            ("GRISTMILL_WORKER_GRACE", "2m"),
            ("GRISTMILL_MONITOR_ADDR", "0.0.0.0:9100"),
            ("RUST_LOG", "debug"),
            ("GRISTMILL_JOB_LOGS", "warn"),
        ];
        let settings = read(&variables).unwrap();
        assert_eq!(settings.database_url.as_deref(), Some("postgres://a"));
        assert_eq!((settings.schema.name(), settings.role, settings.slots), ("shop", Role::Worker, 4));
        assert_eq!(
            (settings.grace, settings.monitor_addr.map(|addr| addr.port())),
            (Duration::from_secs(120), Some(9100))
        );
        assert_eq!((settings.telemetry.unwrap().filter.as_str(), settings.job_logs), ("debug", LevelFilter::WARN));
        assert_eq!(settings.redis_url, None);
    }

    #[test]
    fn a_broker_that_is_named_goes_before_the_url_that_is_there() {
        let broker = |name| read(&[("REDIS_URL", "redis://h"), ("GRISTMILL_BROKER", name)]).unwrap().redis_url;
        assert_eq!((broker("redis").as_deref(), broker("postgres")), (Some("redis://h"), None));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (name, value, problem) in [
            ("GRISTMILL_ROLE", "api", "all, worker, scheduler and web"),
            ("GRISTMILL_SLOTS", "0", "a whole number from 1"),
            ("GRISTMILL_BROKER", "kafka", "the broker is `redis` or `postgres`"),
            ("GRISTMILL_BROKER", "redis", "no URL of a Redis was given"),
            ("GRISTMILL_LEASE", "6", "a duration such as"),
            ("GRISTMILL_ADDR", "8080", "an address and a port"),
            ("GRISTMILL_SCHEMA", "Shop", "is not the name of a schema"),
            ("GRISTMILL_LOG_FORMAT", "xml", "text and json"),
            ("GRISTMILL_JOB_LOGS", "loud", "off, error, warn, info, debug and trace"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{name}={value} cannot be used: ")) && error.contains(problem),
                "{error}"
            );
        }
    }

    #[test]
    fn keys_of_payloads_are_read_and_not_shown() {
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let settings = read(&[("GRISTMILL_PAYLOAD_KEYS", &format!("2026-11:{key}"))]).unwrap();
        assert_eq!(settings.codec.as_ref().unwrap().keys(), ["2026-11"]);
        assert!(!format!("{settings:?}").contains(key));
        let error = read(&[("GRISTMILL_PAYLOAD_KEYS", &format!("a:{key},a:{key}"))]).unwrap_err().to_string();
        assert_eq!(
            error,
            "GRISTMILL_PAYLOAD_KEYS=… cannot be used: two keys have the id `a`: give each one of its own, which it keeps as long as it is used"
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        let settings = read(&[("DATABASE_URL", "postgres://a:secret@b"), ("REDIS_URL", "redis://:secret@b")]).unwrap();
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
