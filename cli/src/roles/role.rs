//! What every role does besides its work: logs, health, an orderly end.

use std::future::Future;

use axum::Router;
use gristmill_monitoring::{Engines as _, Health, Server};
use gristmill_platform::config::{DatabaseConfig, MonitorConfig, RedisConfig, RoleConfig};
use gristmill_platform::{database, telemetry};
use tokio_util::sync::CancellationToken;

use gristmill_service::shutdown;

/// Runs a role until a signal says that it is to stop, or, where it asks for that, its parent is gone. `unhealthy_reason` says why
/// it is of no use any more.
pub(crate) async fn run<F: Future<Output = anyhow::Result<()>>>(
    name: &'static str,
    config: &RoleConfig,
    with_parent: bool,
    unhealthy_reason: impl Fn() -> Option<String> + Send + Sync + 'static,
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    let shutdown = shutdown::on_signal()?;
    if with_parent {
        shutdown::with_parent(&shutdown)?;
    }
    let health = health(name, &config.database, &config.redis)?.with_life(unhealthy_reason);
    beside(health, Router::new(), &config.monitor, work(shutdown)).await
}

/// Does `work` beside the port that answers for a role's health, and to `more`.
pub(super) async fn beside(
    health: Health,
    more: Router,
    monitor: &MonitorConfig,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let server = Server::bind(monitor.monitor_addr).await?;
    tracing::info!(addr = %server.addr(), "metrics and health");
    // the port answers until the work has drained
    let drained = CancellationToken::new();
    let serve = tokio::spawn(server.serve_beside(more, health, drained.clone()));
    let result = work.await;
    drained.cancel();
    let served = serve.await;
    result?;
    Ok(served?)
}

/// The health of a role that needs both engines, asked on a connection of its own.
pub(super) fn health(role: &'static str, database: &DatabaseConfig, redis: &RedisConfig) -> anyhow::Result<Health> {
    let own = DatabaseConfig { database_pool: 1, ..database.clone() };
    Ok(Health::of(role).with_database(database::connect_lazily(&own)?).with_redis(redis)?)
}
