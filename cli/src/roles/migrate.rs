use clap::Args;
use gristmill_platform::config::{DatabaseConfig, TelemetryConfig};
use gristmill_platform::{database, telemetry};

/// Bring the database's schema up to date
#[derive(Args, Debug)]
pub(crate) struct Migrate {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        telemetry::init(&self.telemetry)?;
        let pool = database::connect(&self.database).await?;
        database::migrate(&pool).await?;
        println!("the schema is up to date");
        pool.close().await;
        Ok(())
    }
}
