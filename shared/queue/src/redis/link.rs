//! A connection that can be made anew: one that hangs does not always say so.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ::redis::{Client, RedisResult, aio::ConnectionManager};

use super::backend::connection_config;

/// Each user has one of its own, made on its own runtime; all of one queue line share the wish for a new one.
pub(super) struct Link {
    client: Client,
    conn: ConnectionManager,
    made: u64,
    wanted: Arc<AtomicU64>,
}

impl Link {
    pub(super) fn new(client: Client, wanted: Arc<AtomicU64>) -> RedisResult<Self> {
        let conn = client.get_connection_manager_lazy(connection_config())?;
        Ok(Self { client, conn, made: wanted.load(Ordering::Acquire), wanted })
    }

    pub(super) fn conn(&mut self) -> &mut ConnectionManager {
        let wanted = self.wanted.load(Ordering::Acquire);
        if wanted != self.made
            && let Ok(conn) = self.client.get_connection_manager_lazy(connection_config())
        {
            (self.conn, self.made) = (conn, wanted);
        }
        &mut self.conn
    }
}
