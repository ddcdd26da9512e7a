use clap::Args;
use gristmill_platform::telemetry;

use super::role;
use crate::shutdown;

/// Run jobs; start as many as there is work for
#[derive(Args, Debug)]
pub(crate) struct Worker {
    #[command(flatten)]
    config: gristmill_worker::Config,

    /// Stop when standard input ends
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Worker {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.config;
        telemetry::init(&config.telemetry)?;
        let shutdown = shutdown::on_signal()?;
        if self.exit_with_parent {
            shutdown::with_parent(&shutdown)?;
        }
        let health = role::health("worker", &config.database, &config.redis)?;
        let monitor = config.monitor.clone();
        role::run(health, &monitor, shutdown, |shutdown| gristmill_worker::run(config, shutdown)).await
    }
}
