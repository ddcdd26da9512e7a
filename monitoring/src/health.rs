//! What of the engines a role's health depends on.

use gristmill_platform::config::RedisConfig;
use gristmill_platform::{
    broker::{self, BrokerError},
    database,
};
use gristmill_service::Health;
use sqlx::PgPool;

/// Postgres and Redis, among what a [`Health`] checks.
pub trait Engines: Sized {
    /// Ready only while Postgres answers and has the right schema.
    #[must_use]
    fn with_database(self, pool: PgPool) -> Self;

    /// Ready only while Redis answers.
    ///
    /// # Errors
    /// When it is named by no URL, or by one that no role can connect to.
    fn with_redis(self, config: &RedisConfig) -> Result<Self, BrokerError>;
}

impl Engines for Health {
    fn with_database(self, pool: PgPool) -> Self {
        self.with_check("postgres", move || {
            let pool = pool.clone();
            async move {
                database::ready(&pool).await.map_err(|error| match error {
                    // what is wrong in detail is for the log: this page is open to everybody who reaches the port
                    error @ database::NotReady::Database(_) => {
                        tracing::warn!(error = %anyhow::Error::from(error), "not ready");
                        "does not answer".to_owned()
                    }
                    error => error.to_string(),
                })
            }
        })
    }

    fn with_redis(self, config: &RedisConfig) -> Result<Self, BrokerError> {
        let client = broker::client(config)?;
        Ok(self.with_check("redis", move || {
            let client = client.clone();
            async move {
                let examined = async {
                    let mut connection = client.get_multiplexed_async_connection().await?;
                    broker::examine(&mut connection).await
                };
                match examined.await {
                    Ok(None) => Ok(()),
                    Ok(Some(unfit)) => Err(unfit.to_string()),
                    Err(error) => {
                        tracing::warn!(%error, "not ready");
                        Err("does not answer".to_owned())
                    }
                }
            }
        }))
    }
}
