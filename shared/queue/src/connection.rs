//! Connections to Postgres that the queue's statements are at home on.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, pool::PoolConnectionMetadata};

/// A connection that was at work a moment ago is not asked whether it still is one.
const FRESH: Duration = Duration::from_millis(100);

/// Sets up a connection of the pool that a [`Queue`](crate::Queue) is given. A queue's tables grow from nothing to many thousand rows within
/// a second, and a plan that Postgres has kept from when they were small reads all of them for each batch of jobs, until it
/// has analyzed the tables: with plans made for each statement, twice as many jobs a second go through a new database.
///
/// ```no_run
/// # async fn example(url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use sqlx::postgres::PgPoolOptions;
///
/// let pool = PgPoolOptions::new()
///     .test_before_acquire(false)
///     .before_acquire(|connection, of| Box::pin(gristmill_queue::test_idle_connection(connection, of)))
///     .after_connect(|connection, _| Box::pin(gristmill_queue::tune_connection(connection)))
///     .connect(url)
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Returns an error if the connection is broken.
pub async fn tune_connection(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute("set plan_cache_mode = force_custom_plan; set jit = off").await?;
    Ok(())
}

/// Whether a connection that is taken from the pool still is one, for its `before_acquire`. By itself the pool asks the server that each
/// time, which is a round trip before each statement or transaction. Here only one is asked that was idle for longer than 100 ms.
///
/// # Errors
/// Returns an error if the connection is broken: the pool then takes another one.
pub async fn test_idle_connection(
    connection: &mut PgConnection,
    of: PoolConnectionMetadata,
) -> Result<bool, sqlx::Error> {
    if of.idle_for > FRESH {
        connection.ping().await?;
    }
    Ok(true)
}
