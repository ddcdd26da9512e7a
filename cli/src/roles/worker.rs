use clap::Args;

use super::role;

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
        let role = self.config.role.clone();
        let health = gristmill_worker::WorkerHealth::default();
        let asked = health.clone();
        let work = |shutdown| gristmill_worker::run(self.config, health, shutdown);
        role::run("worker", &role, self.exit_with_parent, move || asked.unhealthy_reason(), work).await
    }
}
