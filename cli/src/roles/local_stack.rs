//! The stack that `gristmill up` runs here, for the subcommands that look after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use gristmill_platform::config::{DEFAULT_DATA_DIR, DatabaseConfig, RedisConfig, StoreConfig};
use serde::Deserialize;

#[derive(Args, Debug)]
pub(super) struct LocalStackArgs {
    /// The data folder of the `gristmill up` that is meant when no URL is given
    #[arg(long, env = "GRISTMILL_DATA_DIR", default_value = DEFAULT_DATA_DIR, value_name = "DIR", global = true)]
    data_dir: PathBuf,
}

#[derive(Deserialize)]
struct UpFile {
    monitor: String,
    env: BTreeMap<String, String>,
}

impl LocalStackArgs {
    /// The folder that is meant.
    pub(super) fn folder(&self) -> &Path {
        &self.data_dir
    }

    /// Where its dashboard is; none: nothing runs on the folder.
    pub(super) fn monitor(&self) -> Option<String> {
        self.file().map(|up| up.monitor)
    }

    fn file(&self) -> Option<UpFile> {
        let text = std::fs::read(self.data_dir.join("up.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Fills in what was not given.
    pub(super) fn complete(
        &self,
        database: &mut DatabaseConfig,
        redis: Option<&mut RedisConfig>,
        store: Option<&mut StoreConfig>,
    ) {
        let Some(mut up) = self.file() else { return };
        let mut take = |name: &str| up.env.remove(name);
        if database.database_url.is_some() || redis.as_ref().is_some_and(|redis| redis.redis_url.is_some()) {
            return;
        }
        database.database_url = take("DATABASE_URL").map(Into::into);
        if let Some(redis) = redis {
            redis.redis_url = take("REDIS_URL").map(Into::into);
        }
        if let Some(store) = store.filter(|store| store.store_url.is_none()) {
            store.store_url = take("GRISTMILL_STORE_URL");
        }
    }
}
