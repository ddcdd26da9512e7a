//! A queue in Redis for apalis applications that have no ledger.

use std::sync::Arc;

use ::redis::{Client, RedisResult};
use apalis_codec::json::JsonCodec;

use super::{Broker, Connections, RedisDeadLetters, connections::RedisLinks};
use crate::{
    broker::Links,
    delivery::{LeaseBackend, Settings},
};

/// A queue of `Args` in Redis, as a backend of apalis.
pub type RedisBackend<Args, C = JsonCodec<Vec<u8>>> = LeaseBackend<Args, C>;

impl<Args> LeaseBackend<Args> {
    /// A queue of JSON in Redis, which need not be there yet.
    ///
    /// # Errors
    /// Returns an error if the URL is not a Redis URL.
    pub fn new(url: &str, settings: Settings) -> RedisResult<Self> {
        Self::with_codec(Client::open(url)?, settings, JsonCodec::default())
    }
}

impl<Args, C> LeaseBackend<Args, C> {
    /// A queue in Redis whose payloads are written by `codec`.
    ///
    /// # Errors
    /// Returns an error if the client's settings cannot be used.
    pub fn with_codec(client: Client, settings: Settings, codec: C) -> RedisResult<Self> {
        Ok(Self::with_connections(&Connections::new(client)?, settings, codec))
    }

    /// A queue in Redis on connections that it shares with other queues.
    #[must_use]
    pub fn with_connections(connections: &Connections, settings: Settings, codec: C) -> Self {
        let queue = Broker::new(&settings.namespace, &settings.queue);
        let dead_letters = RedisDeadLetters::new(connections.answers().clone(), &queue);
        let links = RedisLinks::new(connections, &settings.namespace);
        Self::on(Links::Redis(links), settings, codec, Arc::new(dead_letters))
    }
}
