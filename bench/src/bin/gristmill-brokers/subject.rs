//! What is looked at: jobs in one queue, and worker processes that write down what they run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use apalis_core::{backend::TaskSink as _, task::builder::TaskBuilder};
use apalis_redis::{Config, RedisStorage};
use clap::{Args, ValueEnum};
use gristmill_engines::{Engine, Engines};
use gristmill_queue::{BrokerConfig, Job, Limits, Options, Queue, QueueConfig, Schema};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

/// A broker, and who works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The queue, on Redis.
    Redis,
    /// The queue, on Postgres alone.
    Postgres,
    /// apalis with apalis-redis.
    ApalisRedis,
}

/// Where a worker process works.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    /// What it runs is written into this file.
    pub(crate) log: PathBuf,
    pub(crate) concurrency: usize,
}

/// A lease, or what comes closest to it: so long after its last sign of life a worker is taken for dead.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
pub(crate) const MAX_DELIVERIES: u32 = 3;
pub(crate) const QUEUE: &str = "work";

/// One job of a scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) n: u32,
    pub(crate) act: Act,
}

/// What it does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Waits for so many milliseconds.
    Sleep(u64),
    /// The same on its first run; later ones do nothing.
    SleepOnce(u64),
    /// Takes its thread for so long.
    Hog(u64),
    /// Takes its process down.
    Abort,
    /// Fails on its first run.
    FailOnce,
}

impl Job for Work {
    const NAME: &'static str = "work";
    const QUEUE: &'static str = QUEUE;
}

/// How a job is pushed.
#[derive(Debug, Clone, Default)]
pub(crate) struct How {
    pub(crate) delay: Option<Duration>,
    pub(crate) priority: Option<u8>,
    pub(crate) key: Option<&'static str>,
}

/// A line of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) begins: bool,
    pub(crate) n: u32,
    /// Microseconds since 1970.
    pub(crate) at: u64,
}

pub(crate) struct Subject {
    pub(crate) place: Place,
    engines: Engines,
    queue: Queue,
    workers: Vec<Child>,
}

/// The storage of apalis-redis with a lease as long as ours.
pub(crate) async fn storage(place: &Place) -> anyhow::Result<RedisStorage<Work>> {
    let config = Config::default()
        .queue(QUEUE)
        .batch_size(place.concurrency.clamp(1, 500))
        .heartbeat_interval(LEASE / 3)
        .missed_heartbeats(3);
    Ok(RedisStorage::new(apalis_redis::connect(place.redis_url.as_str()).await?).with_config(config))
}

pub(crate) async fn queue(place: &Place) -> anyhow::Result<Queue> {
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .after_connect(|connection, _| Box::pin(gristmill_queue::tune_connection(connection)))
        .connect(&place.database_url)
        .await?;
    let broker = match place.kind {
        Kind::Postgres => BrokerConfig::Postgres,
        Kind::Redis | Kind::ApalisRedis => BrokerConfig::Redis { url: place.redis_url.clone() },
    };
    let config = QueueConfig { lease: LEASE, max_deliveries: MAX_DELIVERIES, ..QueueConfig::on(broker) };
    Ok(Queue::connect(pool, config).await?)
}

pub(crate) fn now() -> u64 {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX)
}

impl Subject {
    pub(crate) async fn new(kind: Kind, engines: Engines, folder: &Path) -> anyhow::Result<Self> {
        let place = Place {
            kind,
            database_url: engines.database_url().expose_secret().to_owned(),
            redis_url: engines.redis_url().expose_secret().to_owned(),
            log: folder.join("log"),
            concurrency: 8,
        };
        std::fs::write(&place.log, "")?;
        let queue = queue(&place).await?;
        gristmill_queue::migrate(queue.pool(), Schema::default()).await?;
        Ok(Self { place, engines, queue, workers: Vec::new() })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.place.kind
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.kind() != Kind::ApalisRedis
    }

    pub(crate) async fn push(&self, jobs: Vec<Work>, how: How) -> anyhow::Result<()> {
        if !self.is_ours() {
            let mut storage = storage(&self.place).await?;
            if how.delay.is_none() && how.priority.is_none() {
                storage.push_bulk(jobs).await.map_err(|error| anyhow::anyhow!("{error}"))?;
                return Ok(());
            }
            for job in jobs {
                let mut task = TaskBuilder::new(job);
                if let Some(delay) = how.delay {
                    task = task.run_after(delay);
                }
                if let Some(priority) = how.priority {
                    task = task.priority(priority.into());
                }
                storage.push_task(task.build()).await.map_err(|error| anyhow::anyhow!("{error}"))?;
            }
            return Ok(());
        }
        let options = Options {
            delay: how.delay,
            priority: how.priority,
            fair_key: how.key.map(str::to_owned),
            ..Options::default()
        };
        let mut tx = self.queue.pool().begin().await?;
        let enqueued = self.queue.enqueue_all(&mut tx, &jobs, &options).await?;
        tx.commit().await?;
        self.queue.push(enqueued).await;
        Ok(())
    }

    /// A limit of how many run at a time. False: there is no such thing.
    pub(crate) async fn limit(&self, concurrency: u32) -> anyhow::Result<bool> {
        if self.is_ours() {
            let limits = Limits { concurrency: Some(concurrency), ..Limits::default() };
            self.queue.queues().set_limits(QUEUE, &limits).await?;
        }
        Ok(self.is_ours())
    }

    /// Starts a worker process; its number.
    pub(crate) fn work(&mut self, concurrency: usize) -> anyhow::Result<usize> {
        let kind = self.kind().to_possible_value().context("each kind has a name")?;
        let child = Command::new(std::env::current_exe()?)
            .args(["worker", kind.get_name(), &self.place.database_url, &self.place.redis_url])
            .arg(&self.place.log)
            .arg(concurrency.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.workers.push(child);
        Ok(self.workers.len() - 1)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, worker: usize) -> anyhow::Result<()> {
        self.workers[worker].kill()?;
        self.workers[worker].wait()?;
        Ok(())
    }

    pub(crate) fn has_ended(&mut self, worker: usize) -> anyhow::Result<bool> {
        Ok(self.workers[worker].try_wait()?.is_some())
    }

    pub(crate) fn events(&self) -> anyhow::Result<Vec<Event>> {
        let text = std::fs::read_to_string(&self.place.log)?;
        let event = |line: &str| {
            let mut words = line.split(' ');
            Some(Event {
                begins: words.next()? == "begins",
                n: words.next()?.parse().ok()?,
                at: words.next()?.parse().ok()?,
            })
        };
        Ok(text.lines().filter_map(event).collect())
    }

    /// How often each job has begun.
    pub(crate) fn runs(&self) -> anyhow::Result<BTreeMap<u32, usize>> {
        let mut runs = BTreeMap::new();
        for event in self.events()?.iter().filter(|event| event.begins) {
            *runs.entry(event.n).or_default() += 1;
        }
        Ok(runs)
    }

    /// Until so many jobs have begun, oftener ones counted as often. False: it took longer than `limit`.
    pub(crate) async fn begun(&self, runs: usize, limit: Duration) -> anyhow::Result<bool> {
        self.until(limit, |subject| Ok(subject.events()?.iter().filter(|event| event.begins).count() >= runs)).await
    }

    pub(crate) async fn until(
        &self,
        limit: Duration,
        done: impl Fn(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<bool> {
        let started = Instant::now();
        while !done(self)? {
            if started.elapsed() > limit {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(true)
    }

    /// The broker loses its data.
    pub(crate) async fn lose_data(&mut self) -> anyhow::Result<()> {
        if self.kind() == Kind::Postgres {
            let sql = "truncate gristmill.broker_jobs, gristmill.broker_workers, gristmill.broker_worker_queues,
                                gristmill.broker_limits, gristmill.broker_outside, gristmill.broker_epoch";
            sqlx::raw_sql(sql).execute(self.queue.pool()).await?;
            return Ok(());
        }
        let mut conn = redis::Client::open(self.place.redis_url.as_str())?.get_multiplexed_async_connection().await?;
        Ok(redis::cmd("FLUSHALL").query_async(&mut conn).await?)
    }

    /// The engine of the broker is started again.
    pub(crate) async fn restart_engine(&mut self) -> anyhow::Result<()> {
        let engine = if self.kind() == Kind::Postgres { Engine::Postgres } else { Engine::Redis };
        self.engines.restart(engine).await?;
        for _ in 0..200 {
            if self.engine_answers().await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{engine:?} does not come back")
    }

    async fn engine_answers(&self) -> bool {
        if self.kind() == Kind::Postgres {
            return sqlx::query("select 1").execute(self.queue.pool()).await.is_ok();
        }
        let Ok(client) = redis::Client::open(self.place.redis_url.as_str()) else { return false };
        client.get_multiplexed_async_connection().await.is_ok()
    }

    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            // One that has ended already needs no end.
            let _ = worker.kill();
            worker.wait()?;
        }
        self.queue.pool().close().await;
        Ok(self.engines.stop().await?)
    }
}
