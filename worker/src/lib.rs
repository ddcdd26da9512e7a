//! The jobs' bodies: chunk, join, purge; billing runs; mails.
//!
//! A worker is a process that claims jobs and runs them; add processes to go faster. What each job does is in the
//! module of its name; how a job lives is the queue's business.

mod billing;
mod claims;
mod close;
mod kinds;
mod load;
mod mail;
mod normalization;
mod purge;
mod rows;
mod segments;
mod webhooks;

use std::{sync::Arc, time::Duration};

pub use crate::segments::{KeyFilters, Own};
use anyhow::Context as _;
pub use gristmill::WorkerHealth;
use gristmill::{App, Role};
use gristmill_mail::{Mailer, Rate};
use gristmill_normalization::Merchants;
use gristmill_pipelines::Rules;
use gristmill_platform::config::{LimitsConfig, MailConfig, OutboundConfig, RoleConfig, WorkerConfig};
use gristmill_queue::{Queue, QueueConfig};
use gristmill_uploads::events::Events;
use gristmill_webhooks::Deliverer;
use object_store::ObjectStore;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Everything a worker is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    #[doc = "How it works."]
    pub worker: WorkerConfig,
    #[command(flatten)]
    #[doc = "How records are checked."]
    pub limits: LimitsConfig,
    #[command(flatten)]
    #[doc = "How mail is sent."]
    pub mail: MailConfig,
    #[command(flatten)]
    #[doc = "Where clients may have it call."]
    pub outbound: OutboundConfig,
    #[command(flatten)]
    #[doc = "What every role needs."]
    pub role: RoleConfig,
}

/// What the bodies use. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// The ledger and the rows.
    pub pool: PgPool,
    /// Completes jobs and enqueues the ones that follow.
    pub queue: Queue,
    /// Where chunks are.
    pub store: Arc<dyn ObjectStore>,
    /// Who is told.
    pub events: Events,
    /// Sends mails.
    pub mailer: Mailer,
    /// Delivers webhooks, and calls what else clients name.
    pub deliverer: Deliverer,
    /// What is remembered of merchants.
    pub merchants: Merchants,
    /// How records are checked.
    pub rules: Arc<Rules>,
    /// Rejected records that are kept of one upload, unless its client has a limit of its own.
    pub max_rejects: u64,
    /// How long the objects of a closed upload are kept.
    pub keep_objects: Duration,
    /// When an upload has segments of its own for its rows.
    pub own: Own,
    /// Which segments may have a key.
    pub filters: KeyFilters,
}

/// The rules that the configuration asks for.
pub fn rules(limits: &LimitsConfig) -> Rules {
    Rules {
        check_government_id: limits.check_government_id,
        max_record_bytes: usize::try_from(limits.max_record_bytes).unwrap_or(usize::MAX),
        ..Rules::default()
    }
}

/// Runs a worker until `shutdown`: then it finishes what it runs and hands back the rest. `health` tells whether it gets on.
///
/// # Errors
/// When the database, the broker's URL or the store cannot be used at the start. Later they may come and go.
pub async fn run(config: Config, health: WorkerHealth, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_with(config, |app| app, health, shutdown).await
}

/// The same with jobs, and queues, of the caller's own beside it.
///
/// # Errors
/// As [`run`].
pub async fn run_with(
    config: Config,
    more: impl FnOnce(App) -> App,
    health: WorkerHealth,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let env = open(&config).await?;
    let patience = config.role.database.database_timeout;
    let app = more(app(&env, &config.worker, &config.mail)).with(|settings| settings.database_timeout = patience);
    let running = app.health(health).start().await.context("starting the worker")?;
    running.until(shutdown).await.context("the worker stopped")
}

/// Connects to everything that the bodies use.
async fn open(config: &Config) -> anyhow::Result<Env> {
    let pool = gristmill_platform::database::connect(&config.role.database)
        .await
        .context("connecting to the Postgres ledger")?;
    gristmill_platform::broker::refuse_unfit(&config.role.redis).await?;
    let redis_url = config.role.redis.url()?;
    let queue = Queue::connect(pool.clone(), queue_config(config, redis_url)?)
        .await
        .context("connecting to the queue's broker")?;
    let namespace = &config.role.redis.redis_namespace;
    let store = gristmill_platform::store::open(&config.role.store)?;
    let rate = Rate::connect(redis_url, namespace, config.mail.mail_rate)?;
    Ok(Env {
        events: Events::connect(redis_url, namespace).context("connecting to Redis for events")?,
        mailer: Mailer::new(&config.mail, pool.clone(), store.clone(), rate).context("setting up mail")?,
        deliverer: Deliverer::new(&config.outbound, queue.clone()).context("setting up webhooks")?,
        merchants: Merchants::connect(redis_url, namespace).context("connecting to Redis for remembered merchants")?,
        store,
        rules: Arc::new(rules(&config.limits)),
        max_rejects: config.limits.max_rejects,
        keep_objects: config.role.store.keep_objects,
        own: Own::of(config.limits.chunk_bytes),
        filters: KeyFilters::new(usize::try_from(config.worker.filter_memory).unwrap_or(usize::MAX)),
        pool,
        queue,
    })
}

fn queue_config(config: &Config, redis_url: &str) -> anyhow::Result<QueueConfig> {
    Ok(QueueConfig {
        namespace: config.role.redis.redis_namespace.clone(),
        window: config.role.redis.redis_window,
        grace: config.worker.worker_grace,
        lease: config.worker.lease,
        max_deliveries: config.worker.max_deliveries,
        codec: config.role.payloads.codec(&gristmill_kinds::JOBS)?,
        ..QueueConfig::new(redis_url)
    })
}

/// Normalizations that a process works on at the same time: clients' own heuristics are waited for.
const NORMALIZATIONS: usize = 256;
/// And that all workers work on at a time for one client: a slow heuristic of its own leaves room for the others.
const MAX_REQUESTS_PER_CLIENT: u32 = 128;

/// Payments of claims that a process posts at the same time: each is a few short statements.
const PAYMENTS: usize = 4;

/// Deliveries that a process makes at the same time. They wait for others' servers, and share statements the better the more
/// they are; of one endpoint, only so many as the queue's limit says.
const WEBHOOKS: usize = 256;
/// And that all workers make at a time to one endpoint: a slow one takes so many places, whatever waits for it.
const MAX_CALLS_PER_ENDPOINT: u32 = 16;

/// The product's jobs as an application: what [`run`] runs, and what tests drain.
pub fn app(env: &Env, config: &WorkerConfig, mail: &MailConfig) -> App {
    describe();
    // A chunk's body shares one pool of threads with the others, so more of them at once buy overlap with the
    // database, not more parsing; joins are few, and must not wait behind chunks.
    let app = App::on(env.queue.clone())
        .role(Role::Worker)
        .with(|settings| settings.label.clone_from(&config.worker_label))
        .data(env.clone())
        .queue("chunks", |queue| queue.slots(config.worker_concurrency))
        .queue("uploads", |queue| queue.slots(2))
        .queue("billing", |queue| queue.slots(2))
        .queue("mail", |queue| queue.slots(mail.mail_concurrency))
        .queue("webhooks", |queue| queue.slots(WEBHOOKS).per_key(MAX_CALLS_PER_ENDPOINT))
        .queue("normalizations", |queue| queue.slots(NORMALIZATIONS).per_key(MAX_REQUESTS_PER_CLIENT))
        .queue("payments", |queue| queue.slots(PAYMENTS))
        .job_with(load::load_chunk, |job| job.lost(load::suspect_chunk))
        .job_with(load::load_part, |job| job.lost(load::wait_anew))
        .job(close::close_upload)
        .job(close::fail_upload)
        .job(purge::purge_upload)
        .job(purge::drop_objects)
        .job(segments::tend_segments)
        .job(segments::drop_old_rows);
    let app = webhooks::register(mail::register(billing::register(app)));
    claims::register(normalization::register(app, env))
}

/// What the metrics of the bodies mean.
fn describe() {
    metrics::describe_counter!("gristmill_rows_total", "Rows of files, by outcome");
    metrics::describe_counter!("gristmill_bills_total", "Bills made by billing runs");
    metrics::describe_counter!("gristmill_mails_total", "Attempts to send a mail, by kind and outcome");
    metrics::describe_counter!("gristmill_webhooks_total", "Calls of webhooks' endpoints, by outcome");
    metrics::describe_histogram!("gristmill_webhook_seconds", "Seconds that a call of an endpoint took");
    metrics::describe_counter!("gristmill_webhook_endpoints_disabled_total", "Endpoints that were disabled, by reason");
    metrics::describe_counter!("gristmill_invariant_violations_total", "Invariant violations, by invariant");
    metrics::counter!("gristmill_invariant_violations_total", "invariant" => "conservation").increment(0);
    metrics::describe_counter!("gristmill_payments_total", "Payments of claims that were posted");
    metrics::counter!("gristmill_payments_total").increment(0);
}
