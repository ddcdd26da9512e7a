use anyhow::Context;
use gristmill_platform::{
    broker,
    config::{ApiConfig, LimitsConfig, OutboundConfig, RoleConfig},
    database, store, telemetry,
};
use gristmill_queue::{Queue, QueueConfig};
use gristmill_uploads::{MemoryBudget, Spool, UploadService, events::Events};
use gristmill_webhooks::outbound::Outbound;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{app::AppState, cors, hub::Hub, lanes::Lanes, quota::Quotas, routes, server::Server};

/// What the API needs to know.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Config {
    /// Where it listens and how patient it is.
    #[command(flatten)]
    pub api: ApiConfig,
    /// What it takes.
    #[command(flatten)]
    pub limits: LimitsConfig,
    /// Where clients may have it call.
    #[command(flatten)]
    pub outbound: OutboundConfig,
    /// What every role needs.
    #[command(flatten)]
    pub role: RoleConfig,
}

/// Serves the API until `shutdown`, then lets what is running end.
///
/// # Errors
/// When it cannot start: the address is taken, the database away for longer than it waits, the store not to be opened.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let server = build(config).await?;
    tracing::info!(addr = %server.addr()?, "the API listens");
    server.serve(shutdown).await;
    Ok(())
}

/// Everything of [`run`] but the serving: binds the address, so that a test can ask for port 0 and learn the port.
///
/// # Errors
/// As [`run`].
pub async fn build(config: Config) -> anyhow::Result<Server> {
    // Recorded from here on, also where nobody set up logs.
    telemetry::metrics();
    crate::observe::describe();
    let Config { api, limits, outbound, role: RoleConfig { database, redis, payloads, store, .. } } = config;
    let cors = cors::cors(&api.cors_origins)?;
    let listener = TcpListener::bind(api.addr)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address with --addr", api.addr))?;
    broker::refuse_unfit(&redis).await?;
    let url = redis.url()?;
    let events = Events::connect(url, &redis.redis_namespace).context("REDIS_URL is not a Redis URL")?;
    let quotas = Quotas::connect(url, &redis.redis_namespace).context("REDIS_URL is not a Redis URL")?;
    let pool = database::connect_for_requests(&database, routes::STATEMENT).await?;
    let queue = QueueConfig {
        namespace: redis.redis_namespace.clone(),
        window: redis.redis_window,
        codec: payloads.codec(&gristmill_kinds::JOBS)?,
        ..QueueConfig::new(url)
    };
    let queue = Queue::connect(pool.clone(), queue).await.context("connecting to the queue's broker")?;
    let store = store::open(&store)?;
    let hub = Hub::new(events.clone());
    let app = AppState::new(
        UploadService {
            pool,
            queue,
            store,
            events,
            memory: MemoryBudget::new(&limits),
            spool: Spool::new(&limits),
            limits,
            hooks: gristmill_kinds::HOOKS,
        },
        hub,
        Outbound::new(&outbound).context("initialising TLS")?,
        quotas,
        Lanes::of(database.database_pool),
        &api,
    );
    let tasks = TaskTracker::new();
    tasks.spawn(app.hub.clone().listen(app.stop_events.clone()));
    let looking = app.clone();
    tasks.spawn(async move { looking.revocations.run(&looking.pool, looking.stop_events.clone()).await });
    tasks.spawn(routes::finish_whole(app.clone()));
    Ok(Server {
        listener,
        stop_bodies: app.stop_bodies.clone(),
        stop_events: app.stop_events.clone(),
        router: routes::router(app, cors),
        config: api,
        tasks,
    })
}

/// The OpenAPI document, as the API serves it at `/openapi.json`.
pub fn document() -> utoipa::openapi::OpenApi {
    routes::document()
}
