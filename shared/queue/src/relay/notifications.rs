//! What Postgres says at a commit: jobs were enqueued, or a group's last member was completed, by SQL.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tracing::{debug, warn};

use crate::Queue;

/// Without a connection (or behind a pooler that keeps none for a session) the sweep looks twice a second.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes `wake` at each commit that says something on the channel that is called like the schema. For ever.
pub(super) async fn listen(queue: &Queue, wake: &Notify) {
    loop {
        match follow(queue, wake).await {
            Ok(()) => {}
            Err(error) => {
                warn!(%error, "listening to Postgres failed: jobs that are enqueued by SQL start a moment later")
            }
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// On a connection of its own: one of the pool's would be missing there.
async fn follow(queue: &Queue, wake: &Notify) -> Result<(), sqlx::Error> {
    let options = queue.pool().connect_options().as_ref().clone().application_name("gristmill listener");
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(queue.schema().name()).await?;
    // What was said before is not heard.
    wake.notify_one();
    loop {
        // None: the connection was lost and is there again.
        if listener.try_recv().await?.is_none() {
            debug!("the connection that listens to Postgres was lost, and is there again");
        }
        wake.notify_one();
    }
}
