//! Postgres, Redis and the object store of this run: private ones, or the user's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use gristmill_platform::broker;
use gristmill_platform::config::{self, DatabaseConfig, RedisConfig, StoreConfig};
use gristmill_platform::engines::{DirLock, Engine, Engines};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::NO_FLAGS;
use crate::report::Advice;

pub(super) struct Sources {
    /// Absolute.
    pub(super) data_dir: PathBuf,
    pub(super) database_url: SecretString,
    pub(super) redis_url: SecretString,
    pub(super) store_url: String,
    /// Where the private Postgres has its data.
    pub(super) private: Option<PathBuf>,
    held: Held,
}

enum Held {
    /// Private engines, watched.
    Engines { watch: JoinHandle<Engines>, stop: CancellationToken },
    /// Only the folder.
    Folder { _hold: DirLock },
}

impl Sources {
    pub(super) async fn start(data_dir: &Path, fresh: bool) -> anyhow::Result<Self> {
        let database_url = config::read::<DatabaseConfig>(NO_FLAGS)?.database_url;
        let redis_url = config::read::<RedisConfig>(NO_FLAGS)?.redis_url;
        if fresh {
            Engines::delete(data_dir)?;
        }
        match (database_url, redis_url) {
            (None, None) => Self::private(data_dir).await,
            (Some(database_url), Some(redis_url)) => {
                drop(broker::client(&config::read::<RedisConfig>(NO_FLAGS)?)?);
                let hold = DirLock::of(data_dir)?;
                let data_dir = data_dir.canonicalize().context("the data folder is gone")?;
                let store_url = store_url(&data_dir)?;
                Ok(Self {
                    data_dir,
                    database_url,
                    redis_url,
                    store_url,
                    private: None,
                    held: Held::Folder { _hold: hold },
                })
            }
            _ => Err(Advice::new(
                "only one of DATABASE_URL and REDIS_URL is set",
                "set both to use servers of your own, or none to use private ones",
            )
            .into()),
        }
    }

    async fn private(data_dir: &Path) -> anyhow::Result<Self> {
        let engines = Engines::start(data_dir).await?;
        let data_dir = engines.data_dir().to_path_buf();
        let store_url = store_url(&data_dir)?;
        let (database_url, redis_url) = (engines.local_database_url(), engines.redis_url());
        let private = Some(engines.postgres_dir().to_path_buf());
        let stop = CancellationToken::new();
        let watch = tokio::spawn(watch(engines, stop.clone()));
        Ok(Self { data_dir, database_url, redis_url, store_url, private, held: Held::Engines { watch, stop } })
    }

    /// What a role in this process is told; the environment says the rest.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = self.database_flags();
        flags.push(format!("--redis-url={}", self.redis_url.expose_secret()));
        flags.push(format!("--store-url={}", self.store_url));
        flags
    }

    pub(super) fn database_flags(&self) -> Vec<String> {
        vec![format!("--database-url={}", self.database_url.expose_secret())]
    }

    /// What a role in another process must have in its environment to work on the same things.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        // of this process alone: another one there would find the port taken
        const OURS: [&str; 6] = [
            "GRISTMILL_ADDR",
            "GRISTMILL_MONITOR_ADDR",
            "GRISTMILL_WORKER_LABEL",
            "DATABASE_URL",
            "REDIS_URL",
            "GRISTMILL_STORE_URL",
        ];
        let mut environment = config::set_by_environment();
        environment.retain(|(name, _)| !OURS.contains(&name.as_str()));
        if gristmill_platform::store::is_bucket(&self.store_url) {
            environment.extend(config::cloud_options());
        }
        environment.push(("DATABASE_URL".to_owned(), self.database_url.expose_secret().to_owned()));
        environment.push(("REDIS_URL".to_owned(), self.redis_url.expose_secret().to_owned()));
        environment.push(("GRISTMILL_STORE_URL".to_owned(), self.store_url.clone()));
        let namespace = config::read::<RedisConfig>(NO_FLAGS).map(|redis| redis.redis_namespace);
        environment.extend(namespace.ok().map(|name| ("GRISTMILL_REDIS_NAMESPACE".to_owned(), name)));
        environment.extend(for_trying());
        environment
    }

    /// Stops private engines and waits for it.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Held::Engines { watch, stop } = self.held {
            stop.cancel();
            watch.await?.stop().await?;
        }
        Ok(())
    }
}

/// The variable of the schedule of bills.
pub(super) const BILLING_SCHEDULE: &str = "GRISTMILL_BILLING_SCHEDULE";

/// What is set otherwise than in production, unless the user has set it: bills come within a minute, not tomorrow, and
/// webhooks may be on this machine.
pub(super) fn for_trying() -> Vec<(String, String)> {
    let set = config::set_by_environment();
    let all = [
        (BILLING_SCHEDULE, "* * * * *"),
        ("GRISTMILL_OUTBOUND_HTTP", "true"),
        ("GRISTMILL_OUTBOUND_PORTS", "any"),
        ("GRISTMILL_OUTBOUND_NETWORKS", "127.0.0.0/8,::1/128"),
    ];
    let unset = all.into_iter().filter(|(name, _)| !set.iter().any(|(given, _)| given == name));
    unset.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The same of what the API reads, as flags.
pub(super) fn outbound_flags() -> Vec<String> {
    let flag = |(name, value): (String, String)| {
        let flag = name.strip_prefix("GRISTMILL_OUTBOUND_")?.to_ascii_lowercase();
        Some(format!("--outbound-{flag}={value}"))
    };
    for_trying().into_iter().filter_map(flag).collect()
}

fn store_url(data_dir: &Path) -> anyhow::Result<String> {
    let given = config::read::<StoreConfig>(NO_FLAGS)?.store_url;
    let default = || data_dir.join("objects").to_string_lossy().into_owned();
    Ok(given.map_or_else(default, |given| {
        // workers may be started in another folder
        let absolute = std::path::absolute(&given).map(|path| path.to_string_lossy().into_owned());
        if given.contains("://") { given } else { absolute.unwrap_or(given) }
    }))
}

/// Starts again what dies, until told to stop.
async fn watch(mut engines: Engines, stop: CancellationToken) -> Engines {
    loop {
        tokio::select! {
            () = stop.cancelled() => return engines,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        let Some(engine) = engines.ended() else { continue };
        let name = match engine {
            Engine::Postgres => "postgres",
            Engine::Redis => "redis",
        };
        tracing::warn!(engine = name, "the private engine died; starting it again");
        if let Err(error) = engines.restart(engine).await {
            tracing::error!(engine = name, error = %anyhow::Error::from(error), "it does not start");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}
