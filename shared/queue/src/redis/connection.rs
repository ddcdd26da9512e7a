//! A connection to Redis that can be replaced: one that hangs does not always report an error.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{
    Client, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// A connection that any number of queues share. All connections of a process share a generation: whoever raises it makes
/// each of them be replaced at its next use.
#[derive(Clone)]
pub(crate) struct ReconnectingConnection(Arc<Inner>);

struct Inner {
    client: Client,
    generation: Arc<AtomicU64>,
    /// The connection, and its generation.
    current: Mutex<(u64, ConnectionManager)>,
}

impl ReconnectingConnection {
    /// `what` names the connection in Redis' `CLIENT LIST`.
    pub(super) fn new(client: &Client, what: &str, generation: Arc<AtomicU64>) -> RedisResult<Self> {
        let client = named(client, what)?;
        let current = Mutex::new((generation.load(Ordering::Acquire), lazy(&client)?));
        Ok(Self(Arc::new(Inner { client, generation, current })))
    }

    pub(crate) fn conn(&self) -> ConnectionManager {
        let generation = self.0.generation.load(Ordering::Acquire);
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if generation != current.0
            && let Ok(conn) = lazy(&self.0.client)
        {
            *current = (generation, conn);
        }
        current.1.clone()
    }
}

/// A stall of some seconds does not count as a lost connection.
fn lazy(client: &Client) -> RedisResult<ConnectionManager> {
    client.get_connection_manager_lazy(
        ConnectionManagerConfig::new()
            .set_response_timeout(Some(Duration::from_secs(10)))
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200)),
    )
}

/// The same client, with a name for Redis' `CLIENT LIST`.
pub(super) fn named(client: &Client, what: &str) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_lib_name(format!("gristmill-{what}"), env!("CARGO_PKG_VERSION"));
    Client::open(info.set_redis_settings(settings))
}
