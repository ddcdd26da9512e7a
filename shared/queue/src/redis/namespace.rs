//! What is in Redis of one application: see [`crate::broker::Broker`].

use std::{collections::BTreeSet, sync::Arc};

use ::redis::{RedisResult, aio::ConnectionManager};
use tracing::debug;
use uuid::Uuid;

use super::{Broker, WorkerRegistry, connection::ReconnectingConnection, keys, progress};
use crate::{
    JobId, Progress,
    broker::{Heartbeat, HeartbeatReply, KnownJob, WorkerQueueView, WorkerView},
};

/// A namespace over one connection.
#[derive(Clone)]
pub(crate) struct RedisNamespace {
    name: Arc<str>,
    connection: ReconnectingConnection,
}

/// One queue over one connection.
#[derive(Clone)]
pub(crate) struct RedisQueue {
    pub(super) queue: Arc<Broker>,
    pub(super) connection: ReconnectingConnection,
}

/// A job that says nothing new is still heard of for so long.
const PROGRESS_SECONDS: u64 = 600;
/// So long after its last sign of life a ledger leaves its namespace to another one.
const HELD_SECONDS: u64 = 60;

impl RedisNamespace {
    pub(super) fn new(name: &Arc<str>, connection: ReconnectingConnection) -> Self {
        Self { name: Arc::clone(name), connection }
    }

    pub(crate) fn conn(&self) -> ConnectionManager {
        self.connection.conn()
    }

    pub(crate) fn queue(&self, name: &str) -> RedisQueue {
        RedisQueue { queue: Arc::new(Broker::new(&self.name, name)), connection: self.connection.clone() }
    }

    /// Some of the queues that have anything in Redis, and where to go on; 0 is the start and the end.
    pub(crate) async fn queues(&self, cursor: u64) -> RedisResult<(u64, BTreeSet<String>)> {
        Broker::queues(&mut self.conn(), &self.name, cursor).await
    }

    /// Lets some of the keys of the first layout expire, and returns where to go on.
    pub(crate) async fn expire_old_layout(&self, cursor: u64) -> RedisResult<u64> {
        keys::expire_old_layout(&mut self.conn(), &self.name, cursor).await
    }

    fn registry(&self) -> WorkerRegistry {
        WorkerRegistry::new(&self.name)
    }

    pub(crate) async fn workers(&self) -> RedisResult<Vec<WorkerView>> {
        self.registry().list(&mut self.conn()).await
    }

    pub(crate) async fn knows_worker(&self, id: Uuid) -> RedisResult<bool> {
        self.registry().is_known(&mut self.conn(), id).await
    }

    pub(crate) async fn drain_worker(&self, id: Uuid) -> RedisResult<bool> {
        self.registry().drain(&mut self.conn(), id).await
    }

    pub(crate) async fn heartbeat(
        &self,
        worker: Uuid,
        heartbeat: &Heartbeat,
        (entry, view): (Uuid, &WorkerQueueView),
        known_jobs: Option<&[KnownJob]>,
    ) -> RedisResult<HeartbeatReply> {
        self.registry().heartbeat(&mut self.conn(), worker, heartbeat, (&entry, view), known_jobs).await
    }

    pub(crate) async fn deregister(&self, worker: Uuid, entry: Uuid) -> RedisResult<()> {
        self.registry().deregister(&mut self.conn(), worker, &entry).await
    }

    /// Holds the namespace for a minute, unless another ledger does. Returns who holds it, if that is known.
    pub(crate) async fn hold(&self, ledger: &str) -> RedisResult<Option<String>> {
        let key = format!("{{{}}}:ledger", keys::versioned(&self.name));
        let mut conn = self.conn();
        let holder: Option<String> = ::redis::cmd("GET").arg(&key).query_async(&mut conn).await?;
        match holder.as_deref() {
            Some(holder) if holder == ledger => {
                ::redis::cmd("EXPIRE").arg(&key).arg(HELD_SECONDS).query_async::<bool>(&mut conn).await?;
            }
            Some(_) => {}
            None => {
                let mut call = ::redis::cmd("SET");
                call.arg(&key).arg(ledger).arg("NX").arg("EX").arg(HELD_SECONDS);
                // A full Redis refuses it, and must not stop the sweep by that.
                if let Err(error) = call.query_async::<Option<String>>(&mut conn).await {
                    debug!(%error, "Redis does not keep whose its namespace is");
                }
            }
        }
        Ok(holder)
    }

    fn epoch_key(&self) -> String {
        format!("{{{}}}:epoch", keys::versioned(&self.name))
    }

    pub(crate) async fn has_epoch(&self) -> RedisResult<bool> {
        ::redis::cmd("EXISTS").arg(self.epoch_key()).query_async(&mut self.conn()).await
    }

    pub(crate) async fn begin_epoch(&self) -> RedisResult<()> {
        let mut call = ::redis::cmd("SET");
        call.arg(self.epoch_key()).arg(Uuid::new_v4().to_string()).arg("NX");
        call.query_async::<Option<String>>(&mut self.conn()).await.map(drop)
    }

    fn progress_key(&self, id: JobId) -> String {
        format!("{{{}}}:progress:{id}", keys::versioned(&self.name))
    }

    pub(crate) async fn progress(&self, id: JobId) -> RedisResult<Option<Progress>> {
        let said: Option<String> = ::redis::cmd("GET").arg(self.progress_key(id)).query_async(&mut self.conn()).await?;
        Ok(said.and_then(|said| serde_json::from_str(&said).ok()))
    }

    pub(crate) async fn publish_progress(&self, said: &[(JobId, Progress)]) -> RedisResult<()> {
        let texts = said.iter().map(|(id, progress)| {
            let json = format!("{{\"done\":{},\"total\":{}}}", progress.done, progress.total);
            (self.progress_key(*id), json)
        });
        progress::publish(&mut self.conn(), PROGRESS_SECONDS, texts).await
    }
}
