use clap::Args;
use gristmill_monitoring::dashboard;
use gristmill_platform::config::{self, DatabaseConfig};
use gristmill_platform::database;

use super::local_stack::LocalStackArgs;
use crate::report::Advice;

/// Print a fresh link to the dashboard of the `gristmill up` that runs here; it logs in once, within the hour
#[derive(Args, Debug)]
pub(crate) struct Dashboard {
    #[command(flatten)]
    running: LocalStackArgs,
}

impl Dashboard {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        const NO_FLAGS: [&str; 0] = [];
        let Some(address) = self.running.monitor() else {
            let what = format!("no `gristmill up` runs on {}", self.running.folder().display());
            let todo =
                "start it, or say with --data-dir on which folder it runs; elsewhere log in with an operator's key";
            return Err(Advice::new(what, todo).into());
        };
        // Of the running one, whatever is set here.
        let mut database = DatabaseConfig { database_url: None, ..config::read::<DatabaseConfig>(NO_FLAGS)? };
        self.running.complete(&mut database, None, None);
        let pool = database::connect(&database).await?;
        let link = dashboard::link(&pool, "up").await;
        pool.close().await;
        println!("{address}/login?token={}", link?);
        Ok(())
    }
}
