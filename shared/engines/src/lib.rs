//! Private engines: the distribution's `postgres` and `redis-server` as children, for those who bring no URLs and for the
//! tests, so that there is one code path and no mock.
//!
//! They listen on loopback ports with random passwords, keep their data in one folder, and stop when this process ends,
//! however it ends. A test can move the time of a database by its [`Clock`].

mod clock;
mod error;
mod find;
mod folder;
mod guard;
mod owner;
mod postgres;
mod redis;
mod script;
mod temporary;

pub mod private;

pub use clock::Clock;
pub use error::EngineError;
pub use folder::{DirLock, write_secret};

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use self::error::Doing;
use self::folder::Access;
use self::postgres::{Place, Postgres};
use self::redis::Redis;

/// One of the engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Postgres.
    Postgres,
    /// Redis.
    Redis,
}

/// A running Postgres and a running Redis. Dropped, they are told to stop; [`Engines::stop`] also waits for it.
pub struct Engines {
    postgres: Postgres,
    redis: Redis,
    data_dir: PathBuf,
    _hold: DirLock,
    // last, so that the folder goes when the engines were told to stop
    _janitor: Option<temporary::Janitor>,
}

impl Engines {
    /// Starts both on a folder, which is made when it is not there; data of an earlier run are used again.
    pub async fn start(data_dir: impl AsRef<Path>) -> Result<Self, EngineError> {
        Self::launch(data_dir.as_ref(), true, None).await
    }

    /// Starts both in a temporary folder that is removed with them. A crash of the machine may cost their data.
    pub async fn temporary() -> Result<Self, EngineError> {
        let folder = temporary::folder()?;
        let janitor = temporary::Janitor::start(&folder)?;
        Self::launch(&folder, false, Some(janitor)).await
    }

    async fn launch(data_dir: &Path, durable: bool, janitor: Option<temporary::Janitor>) -> Result<Self, EngineError> {
        let binaries = find::binaries()?;
        let data_dir = prepare(data_dir)?;
        let hold = DirLock::of(&data_dir)?;
        folder::leftover_gone(&redis::pidfile(&data_dir), "redis").await?;
        let place = Place::choose(&data_dir, binaries.postgres, binaries.initdb)?;
        folder::leftover_gone(&place.pidfile(), "postgres").await?;
        let access = Access::of(&data_dir)?;
        let (postgres, redis) = tokio::try_join!(
            Postgres::start(place, access.postgres_port, access.postgres_password, durable),
            Redis::start(&data_dir, binaries.redis, access.redis_port, access.redis_password, durable),
        )?;
        Ok(Self { postgres, redis, data_dir, _hold: hold, _janitor: janitor })
    }

    /// Deletes the folder's data, wherever they are. Refused while engines run on it.
    pub fn delete(data_dir: impl AsRef<Path>) -> Result<(), EngineError> {
        let data_dir = data_dir.as_ref();
        if !data_dir.exists() {
            return Ok(());
        }
        let data_dir = prepare(data_dir)?;
        let _hold = DirLock::of(&data_dir)?;
        let binaries = find::binaries()?;
        let place = Place::choose(&data_dir, binaries.postgres, binaries.initdb)?;
        if let Some(pid) = folder::living(&place.pidfile(), "postgres") {
            return Err(EngineError::Leftover { engine: "postgres", pid });
        }
        if let Some(pid) = folder::living(&redis::pidfile(&data_dir), "redis") {
            return Err(EngineError::Leftover { engine: "redis-server", pid });
        }
        std::fs::remove_dir_all(&place.folder).doing(format!("delete {}", place.folder.display()))?;
        std::fs::remove_dir_all(&data_dir).doing(format!("delete {}", data_dir.display()))
    }

    /// How to reach Postgres, as `DATABASE_URL`.
    pub fn database_url(&self) -> SecretString {
        self.postgres.url("gristmill").into()
    }

    /// The same for processes on this machine, by a socket where that is possible: it is faster than TCP.
    pub fn local_database_url(&self) -> SecretString {
        self.postgres.local_url("gristmill").into()
    }

    /// How to reach another database of the same Postgres.
    pub fn database_url_of(&self, database: &str) -> SecretString {
        self.postgres.url(database).into()
    }

    /// How to reach Redis, as `REDIS_URL`.
    pub fn redis_url(&self) -> SecretString {
        self.redis.url().into()
    }

    /// The folder, as an absolute path.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where Postgres keeps its data: in the folder, unless its user cannot get there.
    pub fn postgres_dir(&self) -> &Path {
        &self.postgres.place.folder
    }

    /// An engine that has ended by itself.
    pub fn ended(&mut self) -> Option<Engine> {
        if self.postgres.exited() {
            return Some(Engine::Postgres);
        }
        self.redis.exited().then_some(Engine::Redis)
    }

    /// Stops both and waits until they have.
    pub async fn stop(mut self) -> Result<(), EngineError> {
        let (postgres, redis) = tokio::join!(self.postgres.stop(), self.redis.stop());
        let silent = |engine, log: &Path| Err(EngineError::Silent { engine, log: log.into() });
        if !postgres? {
            return silent("postgres", &self.postgres.place.log);
        }
        if !redis? {
            return silent("redis-server", &self.data_dir.join("redis.log"));
        }
        Ok(())
    }

    /// `kill -9`, and waits until the engine is gone. Data stay.
    pub async fn kill(&mut self, engine: Engine) -> Result<(), EngineError> {
        match engine {
            Engine::Postgres => self.postgres.kill().await,
            Engine::Redis => self.redis.kill().await,
        }
    }

    /// Starts an engine again, on the same port and data; one that runs is stopped first.
    pub async fn restart(&mut self, engine: Engine) -> Result<(), EngineError> {
        match engine {
            Engine::Postgres => self.postgres.restart().await,
            Engine::Redis => self.redis.restart().await,
        }
    }

    /// The worst that can happen to Redis: killed, its data lost, and started again.
    pub async fn lose_redis(&mut self) -> Result<(), EngineError> {
        self.redis.kill().await?;
        self.redis.wipe()?;
        self.redis.restart().await
    }
}

fn prepare(data_dir: &Path) -> Result<PathBuf, EngineError> {
    folder::make_private(data_dir)?;
    data_dir.canonicalize().doing(format!("enter {}", data_dir.display()))
}
