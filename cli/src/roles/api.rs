use clap::Args;
use gristmill_platform::config::{MonitorConfig, TelemetryConfig};
use gristmill_platform::telemetry;

use super::role;
use crate::shutdown;

/// Serve the HTTP API
#[derive(Args, Debug)]
pub(crate) struct Api {
    #[command(flatten)]
    config: gristmill_api::Config,
    #[command(flatten)]
    monitor: MonitorConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

impl Api {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        telemetry::init(&self.telemetry)?;
        let shutdown = shutdown::on_signal()?;
        let health = role::health("api", &self.config.database, &self.config.redis)?;
        role::run(health, &self.monitor, shutdown, |shutdown| gristmill_api::run(self.config, shutdown)).await
    }
}
