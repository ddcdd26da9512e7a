use clap::Args;
use gristmill_platform::telemetry;

use super::role;
use crate::shutdown;

/// Sweep, heal, audit and prune; any number may run
#[derive(Args, Debug)]
pub(crate) struct Scheduler {
    #[command(flatten)]
    config: gristmill_scheduler::Config,
}

impl Scheduler {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.config;
        telemetry::init(&config.telemetry)?;
        let shutdown = shutdown::on_signal()?;
        let health = role::health("scheduler", &config.database, &config.redis)?;
        let monitor = config.monitor.clone();
        role::run(health, &monitor, shutdown, |shutdown| gristmill_scheduler::run(config, shutdown)).await
    }
}
