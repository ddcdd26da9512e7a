//! The registry of live workers in Redis: one entry per worker, whatever the number of its queues. An entry expires half a
//! minute after the worker's last heartbeat.

use std::{sync::LazyLock, time::Duration};

use ::redis::{RedisResult, Script, aio::ConnectionLike};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys;

static DEREGISTER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/deregister_worker.lua")));
static HEARTBEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/heartbeat.lua")));
static DRAIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drain_worker.lua")));

/// An entry expires this long after the worker's last heartbeat.
const WORKER_TTL: Duration = Duration::from_secs(30);

/// The live workers of a namespace.
#[derive(Debug, Clone)]
pub struct WorkerRegistry {
    workers: String,
    tag: String,
}

/// A worker that has sent a heartbeat in the last half minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WorkerView {
    /// Its id, which is random.
    pub id: Uuid,
    /// Its name for people.
    pub label: String,
    /// The version of its binary.
    pub version: String,
    /// The id of its process.
    pub pid: u32,
    /// The host that it runs on, if known.
    pub host: Option<String>,
    /// When it sent its last heartbeat, in seconds since 1970 by Redis' clock.
    pub heard: u64,
    /// Whether it drains: it takes no more jobs.
    pub draining: bool,
    /// Why it is unhealthy.
    pub unwell: Option<String>,
    /// Resident memory in bytes, if known.
    pub memory_bytes: Option<u64>,
    /// Processors it used since its last heartbeat (1.0: one of them, all the time), if known.
    pub cpu: Option<f64>,
    /// Its queues.
    pub lines: Vec<WorkerQueueView>,
    /// The jobs that it can run. Other workers use this; it is not shown.
    #[serde(skip)]
    pub known_jobs: Vec<KnownJob>,
}

/// A job that a worker can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownJob {
    /// Its name on the wire.
    pub name: String,
    /// The newest version of its payload.
    pub version: u16,
}

/// One queue of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WorkerQueueView {
    /// The queue.
    pub queue: String,
    /// Jobs it takes at a time.
    pub concurrency: usize,
    /// Milliseconds since its leases were renewed.
    pub lease_age_ms: u64,
    /// Jobs it holds.
    pub held: usize,
    /// Those it holds longest, at most a hundred.
    pub running: Vec<RunningView>,
}

/// A job that is running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunningView {
    /// The job.
    pub id: String,
    /// Its name, if the payload has been decoded.
    pub name: Option<String>,
    /// The number of this delivery, from 1.
    pub delivery: u64,
    /// When it was claimed, in milliseconds since 1970 by the worker's clock.
    pub since_ms: u64,
}

/// The part of a heartbeat that is the same for all queues of a worker.
#[derive(Serialize, Deserialize)]
pub(super) struct Heartbeat {
    pub(super) label: String,
    pub(super) version: String,
    pub(super) pid: u32,
    pub(super) host: Option<String>,
    pub(super) draining: bool,
    pub(super) unhealthy_reason: Option<String>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu: Option<f64>,
}

/// The answer to a heartbeat.
pub(super) struct HeartbeatReply {
    /// The worker must drain.
    pub(super) drain: bool,
    /// The registry knows which jobs the worker can read.
    pub(super) has_known_jobs: bool,
}

impl RunningView {
    pub(super) fn new(id: String, name: Option<String>, delivery: u64, since_ms: u64) -> Self {
        Self { id, name, delivery, since_ms }
    }
}

impl WorkerQueueView {
    pub(super) fn new(
        queue: &str,
        concurrency: usize,
        lease_age: Duration,
        held: usize,
        running: Vec<RunningView>,
    ) -> Self {
        let lease_age_ms = u64::try_from(lease_age.as_millis()).unwrap_or(u64::MAX);
        Self { queue: queue.into(), concurrency, lease_age_ms, held, running }
    }
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

/// `None` means that another version of this library wrote the entry.
fn view(id: Uuid, heard: u64, fields: &[(String, String)]) -> Option<WorkerView> {
    let heartbeat: Heartbeat =
        fields.iter().find(|(name, _)| name == "heartbeat").and_then(|(_, text)| serde_json::from_str(text).ok())?;
    let lines = fields.iter().filter(|(name, _)| name.starts_with("queue:"));
    let mut lines: Vec<WorkerQueueView> = lines.filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
    lines.sort_by(|a, b| a.queue.cmp(&b.queue));
    // Not yet heartbeat, or by another version of this library: it is not relied on.
    let known_jobs =
        fields.iter().find(|(name, _)| name == "known_jobs").and_then(|(_, text)| serde_json::from_str(text).ok());
    let known_jobs: Vec<KnownJob> = known_jobs.unwrap_or_default();
    let Heartbeat { label, version, pid, host, draining, unhealthy_reason, memory_bytes, cpu } = heartbeat;
    let unwell = unhealthy_reason;
    Some(WorkerView { id, label, version, pid, host, heard, draining, unwell, memory_bytes, cpu, lines, known_jobs })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("serializing a struct with string keys cannot fail")
}
