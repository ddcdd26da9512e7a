use clap::Args;
use gristmill_monitoring::dashboard::Dashboard;
use gristmill_platform::config::{LimitsConfig, RoleConfig};
use gristmill_platform::telemetry;

use super::role;
use gristmill_service::shutdown;

/// Serve the web dashboard, and answer for the health of Postgres and Redis
///
/// It listens where GRISTMILL_MONITOR_ADDR says. Log in with the key of an operator or a viewer: `gristmill keys create
/// --client NAME --operator`.
#[derive(Args, Debug)]
pub(crate) struct Monitor {
    #[command(flatten)]
    role: RoleConfig,
    #[command(flatten)]
    limits: LimitsConfig,
}

impl Monitor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        telemetry::init(&self.role.telemetry)?;
        let shutdown = shutdown::on_signal()?;
        let health = role::health("monitor", &self.role.database, &self.role.redis)?;
        let dashboard = Dashboard::open(&self.role, &self.limits, health.clone()).await?;
        let work = async {
            shutdown.cancelled().await;
            Ok(())
        };
        role::beside(health, dashboard.routes()?, &self.role.monitor, work).await
    }
}
