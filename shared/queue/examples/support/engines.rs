//! What an example runs on: an empty database and perhaps a Redis, given by DATABASE_URL and REDIS_URL, or private ones, which
//! end with it. Without a Redis, Postgres is the broker, too.

use gristmill_platform::{database, testing};
use gristmill_queue::{BrokerConfig, Queue, QueueConfig};

pub(crate) type Error = Box<dyn std::error::Error>;

/// A queue, and what must live as long.
#[expect(clippy::disallowed_methods, reason = "an example has no other configuration")]
pub(crate) async fn queue() -> Result<(Queue, Option<testing::Stack>), Error> {
    if let Ok(database) = std::env::var("DATABASE_URL") {
        let broker = BrokerConfig::from_settings(None, std::env::var("REDIS_URL").ok().as_deref())?;
        let pool = sqlx::PgPool::connect(&database).await?;
        database::migrate(&pool).await?;
        return Ok((Queue::connect(pool, QueueConfig::on(broker)).await?, None));
    }
    let stack = testing::stack().await;
    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    Ok((Queue::connect(stack.pool.clone(), config).await?, Some(stack)))
}
