//! Connections to Postgres that the queue's statements are at home on.

use sqlx::{Executor as _, PgConnection};

/// Sets up a connection of the pool that a [`Queue`](crate::Queue) is given. A queue's tables grow from nothing to many thousand rows within
/// a second, and a plan that Postgres has kept from when they were small reads all of them for each batch of jobs, until it
/// has analyzed the tables: with plans made for each statement, twice as many jobs a second go through a new database.
///
/// ```no_run
/// # async fn example(url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use sqlx::postgres::PgPoolOptions;
///
/// let pool = PgPoolOptions::new()
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
