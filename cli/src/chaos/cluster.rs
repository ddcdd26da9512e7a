//! Everything that is to be hurt.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gristmill_platform::{
    config::DatabaseConfig,
    database,
    engines::{Engine, Engines},
    keys,
};
use gristmill_queue::{CatchUp, JobSpec, NewSchedule, Queue, QueueConfig};
use secrecy::ExposeSecret as _;
use sqlx::{PgPool, raw_sql};
use tokio::sync::Mutex;

use super::{
    bodies::{TABLES, Tick},
    processes::{Member, Proxies, Python, Role},
};

/// The schedule that fires every second.
pub(super) const SCHEDULE: &str = "chaos";

pub(super) struct Cluster {
    pub(super) engines: Mutex<Engines>,
    /// Past all proxies.
    pub(super) pool: PgPool,
    /// Past all proxies.
    pub(super) redis: redis::Client,
    /// What the load enqueues by, over proxies that are hurt like any others.
    pub(super) queue: Queue,
    pub(super) proxies: Proxies,
    pub(super) members: Vec<Member>,
    /// Held by a rolling deploy.
    pub(super) rolling: Mutex<()>,
    /// Of the API.
    pub(super) key: String,
    pub(super) folder: PathBuf,
}

impl Cluster {
    /// `python` runs two workers in that language beside the others.
    pub(super) async fn set(folder: &Path, workers: usize, python: Option<&Path>) -> anyhow::Result<Self> {
        let engines = Engines::start(folder).await?;
        let pool = database::connect(&DatabaseConfig {
            database_url: Some(engines.database_url()),
            ..DatabaseConfig::default()
        })
        .await?;
        database::migrate(&pool).await?;
        raw_sql(TABLES).execute(&pool).await.context("the tables of the chaos cannot be made")?;
        let key = keys::create(&pool, "chaos").await.context("no key can be made")?.secret.expose_secret().to_owned();

        let proxies = Proxies::start(&engines).await?;
        let through = DatabaseConfig {
            database_url: Some(proxies.database_url.as_str().into()),
            database_timeout: Duration::from_secs(10),
            ..DatabaseConfig::default()
        };
        let queue =
            Queue::connect(database::connect_lazily(&through)?, QueueConfig::new(proxies.redis_url.as_str())).await?;
        let mut schedule = NewSchedule::new(SCHEDULE, "* * * * * *", JobSpec::of(&Tick {})?);
        schedule.catch_up = CatchUp::All;
        queue.schedules().put(&schedule).await?;

        let roles = [Role::Api, Role::Api, Role::Scheduler, Role::Scheduler].into_iter();
        let mut members: Vec<Member> = Vec::new();
        for (n, role) in roles.chain(std::iter::repeat_n(Role::Worker, workers)).enumerate() {
            let number = if role == Role::Worker { n - 3 } else { n % 2 + 1 };
            members.push(Member::new(role, number, &engines, None).await?);
        }
        if let Some(program) = python {
            let operator = keys::create_operator(&pool, "chaos-python").await.context("no key can be made")?;
            for n in [0, 1] {
                let python = Python {
                    program: program.to_path_buf(),
                    api: format!("http://{}", members[n].addr),
                    key: operator.secret.expose_secret().to_owned(),
                };
                members.push(Member::new(Role::Python, n + 1, &engines, Some(python)).await?);
            }
        }
        for member in &members {
            member.start(&mut *member.process.lock().await)?;
        }
        let redis = redis::Client::open(engines.redis_url().expose_secret()).context("no client of Redis")?;
        let folder = engines.data_dir().to_path_buf();
        let cluster = Self {
            engines: Mutex::new(engines),
            pool,
            redis,
            queue,
            proxies,
            members,
            rolling: Mutex::default(),
            key,
            folder,
        };
        cluster.ready().await?;
        Ok(cluster)
    }

    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.role == role)
    }

    /// Everybody's proxies, the load's too.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxies> {
        self.members.iter().map(|member| &member.proxies).chain([&self.proxies])
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        // Those in Python have no port that tells.
        for member in self.members.iter().filter(|member| member.role != Role::Python) {
            while reqwest::get(format!("http://{}/readyz", member.monitor)).await.is_err() {
                anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "{member} does not start");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Lets every line pass. (What has befallen engines and processes ends by itself.)
    pub(super) fn heal(&self) {
        for proxies in self.proxies() {
            proxies.to(Engine::Postgres).pass();
            proxies.to(Engine::Redis).pass();
        }
    }

    /// Asks every process to stop, and says which of them did not do so in good order.
    pub(super) async fn stop_members(&self) -> Vec<String> {
        let stops = self.members.iter().map(|member| async move {
            let ended =
                tokio::time::timeout(Duration::from_secs(40), async { member.process.lock().await.stop().await });
            match ended.await {
                Ok(Some(status)) if status.success() => None,
                Ok(status) => Some(format!("{member} ended with {status:?}")),
                Err(_) => Some(format!("{member} did not end within 40 s")),
            }
        });
        futures::future::join_all(stops).await.into_iter().flatten().collect()
    }

    /// Stops the engines; the data go with them unless somebody is to look at them.
    pub(super) async fn tear_down(self, keep: bool) -> anyhow::Result<()> {
        let Self { engines, pool, queue, members, folder, .. } = self;
        for member in &members {
            member.process.lock().await.kill().await;
        }
        pool.close().await;
        queue.pool().close().await;
        engines.into_inner().stop().await?;
        if !keep {
            Engines::delete(folder)?;
        }
        Ok(())
    }
}
