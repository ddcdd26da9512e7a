//! The registry of live workers in Redis: one entry per worker, whatever the number of its queues. An entry expires half a
//! minute after the worker's last heartbeat.

use std::sync::LazyLock;

use ::redis::{RedisResult, Script, aio::ConnectionLike};
use uuid::Uuid;

use super::keys;
use crate::broker::{Entry, Heartbeat, HeartbeatReply, KnownJob, WORKER_TTL, WorkerQueueView, WorkerView, json};

static DEREGISTER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/deregister_worker.lua")));
static HEARTBEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/heartbeat.lua")));
static DRAIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drain_worker.lua")));

/// The live workers of a namespace.
#[derive(Debug, Clone)]
pub struct WorkerRegistry {
    workers: String,
    tag: String,
}

impl WorkerRegistry {
    /// The registry of this namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        let tag = format!("{{{}}}", keys::versioned(namespace));
        Self { workers: format!("{tag}:workers"), tag }
    }

    fn worker(&self, id: Uuid) -> String {
        format!("{}:worker:{}", self.tag, id.simple())
    }

    /// Lists the live workers, by label.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn list<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<Vec<WorkerView>> {
        let ((now, _), seen): ((u64, u64), Vec<(String, u64)>) =
            ::redis::pipe().cmd("TIME").zrange_withscores(&self.workers, 0, -1).query_async(conn).await?;
        let seen: Vec<(Uuid, u64)> = seen
            .into_iter()
            .filter(|(_, heard)| heard + WORKER_TTL.as_secs() > now)
            .filter_map(|(id, heard)| Some((id.parse().ok()?, heard)))
            .collect();
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = ::redis::pipe();
        for (id, _) in &seen {
            pipe.hgetall(self.worker(*id));
        }
        let fields: Vec<Vec<(String, String)>> = pipe.query_async(conn).await?;
        let mut workers: Vec<_> =
            seen.into_iter().zip(fields).filter_map(|((id, heard), fields)| view(id, heard, &fields)).collect();
        workers.sort_by(|a, b| (&a.label, a.id).cmp(&(&b.label, b.id)));
        Ok(workers)
    }

    /// Whether a worker with this id is alive.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn is_known<C: ConnectionLike + Send>(&self, conn: &mut C, id: Uuid) -> RedisResult<bool> {
        ::redis::cmd("EXISTS").arg(self.worker(id)).query_async(conn).await
    }

    /// Asks a worker to take no more jobs; it obeys within two seconds. Returns false if no such worker is alive.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn drain<C: ConnectionLike + Send>(&self, conn: &mut C, id: Uuid) -> RedisResult<bool> {
        DRAIN.key(self.worker(id)).invoke_async(conn).await
    }

    /// Records that a worker is alive, what one of its queues does and, where the registry lacks them, the jobs that it can
    /// read.
    pub(super) async fn heartbeat<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        id: Uuid,
        heartbeat: &Heartbeat,
        (entry, view): (&Uuid, &WorkerQueueView),
        known_jobs: Option<&[KnownJob]>,
    ) -> RedisResult<HeartbeatReply> {
        let mut call = HEARTBEAT.key(&self.workers);
        call.key(self.worker(id)).arg(id.to_string()).arg(json(heartbeat)).arg(WORKER_TTL.as_secs());
        call.arg(format!("queue:{entry}")).arg(json(view));
        if let Some(known_jobs) = known_jobs {
            call.arg(json(&known_jobs));
        }
        let (drain, has_known_jobs) = call.invoke_async(conn).await?;
        Ok(HeartbeatReply { drain, has_known_jobs })
    }

    /// Removes one queue of a worker, and the worker with its last queue.
    pub(super) async fn deregister<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        id: Uuid,
        entry: &Uuid,
    ) -> RedisResult<()> {
        let mut call = DEREGISTER.key(&self.workers);
        call.key(self.worker(id)).arg(id.to_string()).arg(format!("queue:{entry}")).invoke_async(conn).await
    }
}

fn view(id: Uuid, heard: u64, fields: &[(String, String)]) -> Option<WorkerView> {
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.as_str());
    let queues = fields.iter().filter(|(name, _)| name.starts_with("queue:")).map(|(_, text)| text.as_str()).collect();
    Entry { id, heard, heartbeat: field("heartbeat")?, queues, known_jobs: field("known_jobs") }.view()
}
