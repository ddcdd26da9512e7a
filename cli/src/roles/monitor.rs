use clap::Args;
use gristmill_platform::config::{DatabaseConfig, MonitorConfig, RedisConfig, TelemetryConfig};
use gristmill_platform::telemetry;

use super::role;
use crate::shutdown;

/// Answer for the health of Postgres and Redis
#[derive(Args, Debug)]
pub(crate) struct Monitor {
    #[command(flatten)]
    monitor: MonitorConfig,
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    redis: RedisConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

impl Monitor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        telemetry::init(&self.telemetry)?;
        let shutdown = shutdown::on_signal()?;
        let health = role::health("monitor", &self.database, &self.redis)?;
        let work = async {
            shutdown.cancelled().await;
            Ok(())
        };
        role::beside(health, &self.monitor, work).await
    }
}
