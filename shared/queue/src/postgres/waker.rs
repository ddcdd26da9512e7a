//! The one connection that waits for wake-ups. Postgres tells every process of a push, and each wakes all its workers of that
//! queue that sleep; who comes too late finds nothing, and sleeps again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tracing::debug;

use crate::delivery::{MAX_WAIT, Wakes};

/// Every broker of a database speaks here; a wake-up names the schema and the queue.
const CHANNEL: &str = "gristmill_broker";
/// After a fault of the connection.
const RETRY_DELAY: Duration = Duration::from_millis(200);

pub(super) struct Waker {
    pub(super) options: PgConnectOptions,
    pub(super) generation: Arc<AtomicU64>,
    pub(super) wakes: Arc<Wakes>,
}

impl Waker {
    /// As long as its runtime lasts.
    pub(super) async fn run(self) {
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            if let Err(error) = self.listen(generation).await {
                debug!(%error, "no wake-ups come; queues are looked at instead");
            }
            self.wakes.wake_all();
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Until the connection is lost or to be replaced.
    async fn listen(&self, generation: u64) -> Result<(), sqlx::Error> {
        let options = self.options.clone().application_name("gristmill-wake-ups");
        let pool =
            PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        // What was said before nobody has heard.
        self.wakes.wake_all();
        while self.generation.load(Ordering::Acquire) == generation {
            tokio::select! {
                said = listener.try_recv() => match said? {
                    Some(wake_up) => self.wakes.wake_everybody(wake_up.payload()),
                    None => return Ok(()),
                },
                () = tokio::time::sleep(MAX_WAIT) => {}
            }
        }
        Ok(())
    }
}
