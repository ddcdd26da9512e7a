//! Background maintenance: schedules, the relay's sweep, healing of the broker, uploads whose
//! receiver died, what belongs to jobs that were ended by hand, retention, statistics of tables that were filled in bulk, and
//! audits. Any number of schedulers may run: each thing they do is safe when done twice.

mod audit;
mod ends;
mod retention;
mod schedules;
mod sign;
mod stale;
mod statistics;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use gristmill::{App, Client, Role};
use gristmill_platform::config::{RoleConfig, SchedulerConfig};
use gristmill_queue::{Queue, QueueConfig};
use gristmill_uploads::{events::Events, segments};
use object_store::ObjectStore;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Everything a scheduler is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    #[doc = "How often it does what."]
    pub scheduler: SchedulerConfig,
    #[command(flatten)]
    #[doc = "What every role needs."]
    pub role: RoleConfig,
}

/// What the tasks use. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// The ledger.
    pub pool: PgPool,
    /// The queue to fire schedules of, sweep, audit and prune.
    pub queue: Queue,
    /// Where chunks are.
    pub store: Arc<dyn ObjectStore>,
    /// Who is told.
    pub events: Events,
}

/// Runs a scheduler until `shutdown`.
///
/// # Errors
/// When the database, the broker's URL or the store cannot be used at the start. Later they may come and go.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let env = open(&config).await?;
    let patience = config.role.database.database_timeout;
    let app = schedules::add(app(&env, &config.scheduler), &config.scheduler)?;
    let started = app.with(|settings| settings.database_timeout = patience).start().await;
    let running = started.map_err(schedules::blame_setting)?;
    running.until(shutdown).await.context("the scheduler stopped")
}

/// The same on the caller's own engines, without the schedules.
///
/// # Errors
/// When the tables of the queue are not up to date, or a part of it cannot go on.
pub async fn serve(env: Env, config: &SchedulerConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    Ok(app(&env, config).start().await?.until(shutdown).await?)
}

async fn open(config: &Config) -> anyhow::Result<Env> {
    let pool = gristmill_platform::database::connect(&config.role.database)
        .await
        .context("connecting to the Postgres ledger")?;
    gristmill_platform::broker::refuse_unfit(&config.role.redis).await?;
    let redis_url = config.role.redis.url()?;
    let namespace = &config.role.redis.redis_namespace;
    let settings = QueueConfig {
        namespace: namespace.clone(),
        window: config.role.redis.redis_window,
        codec: config.role.payloads.codec(&gristmill_kinds::JOBS)?,
        ..QueueConfig::new(redis_url)
    };
    let queue = Queue::connect(pool.clone(), settings).await?;
    let events = Events::connect(redis_url, namespace).context("connecting to Redis for events")?;
    let store = gristmill_platform::store::open(&config.role.store)?;
    Ok(Env { pool, queue, store, events })
}

/// What the product does again and again, as an application: beside it runs what looks after every queue (sweep, schedules' clock,
/// pruning, gauges).
fn app(env: &Env, config: &SchedulerConfig) -> App {
    audit::describe();
    ends::describe();
    let app = App::on(env.queue.clone()).role(Role::Scheduler).with(|settings| {
        settings.keep_jobs = config.keep_jobs;
        settings.keep_dead = config.keep_dead;
        // The audit ends them: those of uploads and billing runs are their owners'.
        settings.unsealed_groups = Duration::ZERO;
    });
    let config = Arc::new(config.clone());
    app.every(
        "sign of life",
        Duration::from_secs(5),
        with(env, &config, |env, _| async move { sign::leave(&env.pool).await }),
    )
    .every(
        "stale uploads",
        Duration::from_secs(2),
        with(env, &config, |env, _| async move { stale::fail_stale(&env).await }),
    )
    .every(
        "segments",
        Duration::from_secs(5),
        with(env, &config, |env, _| async move { Ok(segments::enqueue_tending(&env.pool, &env.queue).await?) }),
    )
    .every("ends of jobs", Duration::from_secs(2), with(env, &config, |env, _| async move { ends::end(&env).await }))
    .every(
        "audit",
        config.audit_every,
        with(env, &config, |env, config| async move { audit::audit(&env, &config).await }),
    )
    .every(
        "statistics",
        Duration::from_secs(15),
        with(env, &config, |env, _| async move { statistics::refresh(&env.pool).await }),
    )
    .every(
        "retention",
        Duration::from_secs(60),
        with(env, &config, |env, config| async move { retention::prune(&env, &config).await }),
    )
}

/// What is done again and again, with what it uses.
fn with<W, F>(env: &Env, config: &Arc<SchedulerConfig>, work: W) -> impl Fn(Client) -> F + Send + Sync + use<W, F>
where
    W: Fn(Env, Arc<SchedulerConfig>) -> F + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (env, config) = (env.clone(), Arc::clone(config));
    move |_| work(env.clone(), Arc::clone(&config))
}
