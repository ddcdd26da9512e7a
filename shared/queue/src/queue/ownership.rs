//! A namespace in Redis belongs to one ledger: workers of two would be given each other's jobs, and drop them.

use tracing::debug;

use super::{Queue, QueueError};
use crate::broker::Broker;

impl Queue {
    /// Holds the broker's namespace for this ledger, for a minute from now.
    ///
    /// # Errors
    /// Returns [`QueueError::NamespaceTaken`] if another ledger holds it, or an error if an engine does not answer.
    pub(crate) async fn hold_namespace(&self) -> Result<(), QueueError> {
        // Where the broker is Postgres, its tables are beside the ledger.
        let Broker::Redis(redis) = self.broker() else { return Ok(()) };
        let Some(ledger) = self.ledger_name().await? else { return Ok(()) };
        let holder = redis.hold(ledger).await.map_err(crate::BrokerError::from)?;
        match holder {
            Some(holder) if holder != ledger => {
                Err(QueueError::NamespaceTaken { namespace: self.config().namespace.clone(), holder })
            }
            _ => Ok(()),
        }
    }

    /// What tells this ledger from any other: its cluster, its database, its schema. None: Postgres does not let this role ask.
    async fn ledger_name(&self) -> Result<Option<&str>, sqlx::Error> {
        let name = self.inner.ledger_name.get_or_try_init(|| async {
            let sql = "select system_identifier || '/' || current_database() from pg_catalog.pg_control_system()";
            match sqlx::query_scalar::<_, String>(sql).fetch_one(self.pool()).await {
                Ok(name) => Ok(Some(format!("{name}/{}", self.schema().name()))),
                Err(sqlx::Error::Database(error)) => {
                    debug!(%error, "the ledger has no name: nobody looks whose the namespace in Redis is");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        Ok(name.await?.as_deref())
    }
}
