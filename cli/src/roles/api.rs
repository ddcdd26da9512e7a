use clap::Args;

use super::role;

/// Serve the HTTP API
#[derive(Args, Debug)]
pub(crate) struct Api {
    #[command(flatten)]
    config: gristmill_api::Config,
}

impl Api {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let role = self.config.role.clone();
        role::run("api", &role, false, || None, |shutdown| gristmill_api::run(self.config, shutdown)).await
    }
}
