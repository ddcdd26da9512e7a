use clap::Args;

use super::role;

/// Sweep, heal, audit and prune; any number may run
#[derive(Args, Debug)]
pub(crate) struct Scheduler {
    #[command(flatten)]
    config: gristmill_scheduler::Config,
}

impl Scheduler {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let role = self.config.role.clone();
        role::run("scheduler", &role, false, || None, |shutdown| gristmill_scheduler::run(self.config, shutdown)).await
    }
}
