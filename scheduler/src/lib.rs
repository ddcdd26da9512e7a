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

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gristmill_platform::config::{RoleConfig, SchedulerConfig};
use gristmill_queue::{Cron, Queue, QueueConfig, Sweeper};
use gristmill_uploads::events::Events;
use object_store::ObjectStore;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval};
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
    let pool = gristmill_platform::database::connect(&config.role.database)
        .await
        .context("connecting to the Postgres ledger")?;
    gristmill_platform::broker::refuse_unfit(&config.role.redis).await?;
    let redis_url = config.role.redis.url()?;
    let namespace = &config.role.redis.redis_namespace;
    let settings = QueueConfig {
        namespace: namespace.clone(),
        window: config.role.redis.redis_window,
        ..QueueConfig::new(redis_url)
    };
    let queue = Queue::connect(pool.clone(), settings).await?;
    let events = Events::connect(redis_url, namespace).context("connecting to Redis for events")?;
    let store = gristmill_platform::store::open(&config.role.store)?;
    let env = Env { pool, queue, store, events };
    schedules::arrange(&env.queue, &config.scheduler, config.role.database.database_timeout).await?;
    serve(env, &config.scheduler, shutdown).await;
    Ok(())
}

/// The scheduler's tasks, until `shutdown`: what [`run`] runs, and what tests run on their own engines.
pub async fn serve(env: Env, config: &SchedulerConfig, shutdown: CancellationToken) {
    audit::describe();
    ends::describe();
    let (audited, stale, ended, kept) = (env.clone(), env.clone(), env.clone(), env.clone());
    let (there, counted) = (env.pool.clone(), env.pool.clone());
    tokio::join!(
        Sweeper::new(&env.queue).run(shutdown.clone()),
        Cron::new(&env.queue).run(shutdown.clone()),
        every("sign of life", Duration::from_secs(5), &shutdown, || sign::leave(&there)),
        every("stale uploads", Duration::from_secs(2), &shutdown, || stale::fail_stale(&stale)),
        every("ends of jobs", Duration::from_secs(2), &shutdown, || ends::end(&ended)),
        gauge(&env.queue, &shutdown),
        every("audit", config.audit_every, &shutdown, || audit::audit(&audited, config)),
        every("statistics", Duration::from_secs(15), &shutdown, || statistics::refresh(&counted)),
        every("retention", Duration::from_secs(60), &shutdown, || retention::prune(&kept, config)),
    );
}

/// How often the gauges of depth and age are set. A backlog that takes long to count is counted less often.
const GAUGED_EVERY: Duration = Duration::from_secs(4);

async fn gauge(queue: &Queue, shutdown: &CancellationToken) {
    loop {
        let begun = Instant::now();
        if let Err(error) = queue.depths().await {
            tracing::warn!(%error, "the backlog cannot be counted");
        }
        if let Err(error) = queue.broker_memory().await {
            tracing::warn!(%error, "Redis does not say how full it is");
        }
        let pause = GAUGED_EVERY.max(begun.elapsed() * 10);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does something again and again. A failure is logged and the next time comes all the same: what is missed now is
/// found then.
async fn every<F, Fut>(name: &'static str, period: Duration, shutdown: &CancellationToken, mut work: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = work().await {
            tracing::warn!(task = name, error = format!("{error:#}"), "a scheduler's task failed");
        }
    }
}
