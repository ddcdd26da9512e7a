use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gristmill_platform::config::RedisConfig;
use gristmill_platform::{
    broker::{self, BrokerError},
    database,
};
use serde::Serialize;
use sqlx::PgPool;

/// A load balancer asks every few seconds and does not wait long.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a role needs to be ready: the schema it was built for, and Redis.
#[derive(Clone)]
pub struct Health {
    role: &'static str,
    pool: Option<PgPool>,
    redis: Option<redis::Client>,
    life: Option<Life>,
}

/// Why a role is of no use any more; none: it lives.
type Life = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Health {
    /// Of a role that needs neither Postgres nor Redis, until told otherwise.
    pub fn of(role: &'static str) -> Self {
        Self { role, pool: None, redis: None, life: None }
    }

    /// Ready only while Postgres answers and has the right schema.
    #[must_use]
    pub fn with_database(self, pool: PgPool) -> Self {
        Self { pool: Some(pool), ..self }
    }

    /// Ready only while Redis answers.
    ///
    /// # Errors
    /// When it is named by no URL, or by one that no role can connect to.
    pub fn with_redis(self, config: &RedisConfig) -> Result<Self, BrokerError> {
        Ok(Self { redis: Some(broker::client(config)?), ..self })
    }

    /// Alive only while this says nothing against it: `/healthz` fails with what it says.
    #[must_use]
    pub fn with_life(self, unhealthy_reason: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { life: Some(Arc::new(unhealthy_reason)), ..self }
    }

    pub(crate) fn unhealthy_reason(&self) -> Option<String> {
        self.life.as_ref().and_then(|unhealthy_reason| unhealthy_reason())
    }

    pub(crate) async fn examine(&self) -> Readiness {
        let (postgres, redis) = tokio::join!(self.postgres(), self.redis());
        let checks: BTreeMap<_, _> = [("postgres", postgres), ("redis", redis)]
            .into_iter()
            .filter_map(|(name, outcome)| Some((name, outcome?.err().unwrap_or_else(|| "ok".to_owned()))))
            .collect();
        let ready = checks.values().all(|outcome| outcome == "ok");
        Readiness { role: self.role, status: if ready { "ready" } else { "not ready" }, checks, ready }
    }

    async fn postgres(&self) -> Option<Result<(), String>> {
        let pool = self.pool.as_ref()?;
        let outcome = tokio::time::timeout(CHECK_TIMEOUT, database::ready(pool)).await;
        // what is wrong in detail is for the log: this page is open to everybody who reaches the port
        Some(match outcome {
            Ok(Err(error @ database::NotReady::Database(_))) => {
                tracing::warn!(error = %anyhow::Error::from(error), "not ready");
                Err("does not answer".to_owned())
            }
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("does not answer in time".to_owned()),
        })
    }

    async fn redis(&self) -> Option<Result<(), String>> {
        let client = self.redis.as_ref()?;
        let ping = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            broker::examine(&mut connection).await
        };
        Some(match tokio::time::timeout(CHECK_TIMEOUT, ping).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(unfit))) => Err(unfit.to_string()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready");
                Err("does not answer".to_owned())
            }
            Err(_) => Err("does not answer in time".to_owned()),
        })
    }
}

impl Readiness {
    /// What was asked, and how it is: `ok`, or what is wrong.
    pub(crate) fn checks(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checks.iter().map(|(name, outcome)| (*name, outcome.as_str()))
    }
}

#[derive(Serialize)]
pub(crate) struct Readiness {
    role: &'static str,
    status: &'static str,
    checks: BTreeMap<&'static str, String>,
    #[serde(skip)]
    pub(crate) ready: bool,
}
