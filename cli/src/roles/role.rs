//! What every role does besides its work: logs, health, an orderly end.

use std::future::Future;

use gristmill_monitoring::{Health, Server};
use gristmill_platform::config::{DatabaseConfig, MonitorConfig, RedisConfig};
use gristmill_platform::database;
use tokio_util::sync::CancellationToken;

/// Runs a role beside the port that answers for its health; whichever fails first ends both.
pub(super) async fn run<F: Future<Output = anyhow::Result<()>>>(
    health: Health,
    monitor: &MonitorConfig,
    shutdown: CancellationToken,
    work: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    let server = Server::bind(monitor.monitor_addr).await?;
    tracing::info!(addr = %server.addr(), "metrics and health");
    // the port answers until the work has drained
    let drained = CancellationToken::new();
    let serve = tokio::spawn(server.serve(health, drained.clone()));
    let result = work(shutdown).await;
    drained.cancel();
    let served = serve.await;
    result?;
    served?
}

/// The health of a role that needs both engines, asked on a connection of its own.
pub(super) fn health(role: &'static str, database: &DatabaseConfig, redis: &RedisConfig) -> anyhow::Result<Health> {
    let own = DatabaseConfig { database_pool: 1, ..database.clone() };
    Health::of(role).with_database(database::connect_lazily(&own)?).with_redis(redis)
}
