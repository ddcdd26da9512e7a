//! A connection that can be made anew: one that hangs does not always say so.

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

/// Any number of users, of whatever queues, share its connection; all links of a process share the wish for new ones.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    client: Client,
    wanted: Arc<AtomicU64>,
    /// The connection, and which wish it is of.
    current: Mutex<(u64, ConnectionManager)>,
}

impl Link {
    /// `what` is for people who look at Redis' list of clients.
    pub(super) fn new(client: &Client, what: &str, wanted: Arc<AtomicU64>) -> RedisResult<Self> {
        let client = named(client, what)?;
        let current = Mutex::new((wanted.load(Ordering::Acquire), lazy(&client)?));
        Ok(Self(Arc::new(Inner { client, wanted, current })))
    }

    pub(crate) fn conn(&self) -> ConnectionManager {
        let wanted = self.0.wanted.load(Ordering::Acquire);
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted != current.0
            && let Ok(conn) = lazy(&self.0.client)
        {
            *current = (wanted, conn);
        }
        current.1.clone()
    }
}

/// A stall of some seconds is not a lost connection.
fn lazy(client: &Client) -> RedisResult<ConnectionManager> {
    client.get_connection_manager_lazy(
        ConnectionManagerConfig::new()
            .set_response_timeout(Some(Duration::from_secs(10)))
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200)),
    )
}

/// The same, with a name in Redis' list of clients.
pub(super) fn named(client: &Client, what: &str) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_lib_name(format!("gristmill-{what}"), env!("CARGO_PKG_VERSION"));
    Client::open(info.set_redis_settings(settings))
}
