//! The live workers, as they say themselves: one entry per worker, whatever the number of its queues.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Between two heartbeats of a worker.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Running jobs that a heartbeat names.
pub(crate) const MAX_NAMED_JOBS: usize = 100;
/// An entry expires this long after the worker's last heartbeat.
pub(crate) const WORKER_TTL: Duration = Duration::from_secs(30);

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
    /// What it is written in, where it says so: it works by HTTP. `None`: it is a worker of this library.
    pub language: Option<String>,
    /// When it sent its last heartbeat, in seconds since 1970 by the broker's clock.
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
    /// The ids of the keys that it decrypts payloads with: see [`crate::Codec`]. Not shown either.
    #[serde(skip)]
    pub payload_keys: Vec<String>,
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
pub(crate) struct Heartbeat {
    pub(crate) label: String,
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) host: Option<String>,
    /// A version of this library that knows nothing of it says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    pub(crate) draining: bool,
    pub(crate) unhealthy_reason: Option<String>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu: Option<f64>,
    /// As with the language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) payload_keys: Vec<String>,
}

/// The answer to a heartbeat.
pub(crate) struct HeartbeatReply {
    /// The worker must drain.
    pub(crate) drain: bool,
    /// The registry knows which jobs the worker can read.
    pub(crate) has_known_jobs: bool,
}

impl RunningView {
    pub(crate) fn new(id: String, name: Option<String>, delivery: u64, since_ms: u64) -> Self {
        Self { id, name, delivery, since_ms }
    }
}

impl WorkerQueueView {
    pub(crate) fn new(
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

/// What a registry has of one worker.
pub(crate) struct Entry<'a> {
    pub(crate) id: Uuid,
    /// In seconds since 1970 by the broker's clock.
    pub(crate) heard: u64,
    pub(crate) heartbeat: &'a str,
    pub(crate) queues: Vec<&'a str>,
    pub(crate) known_jobs: Option<&'a str>,
}

impl Entry<'_> {
    /// `None` means that another version of this library wrote the entry.
    pub(crate) fn view(&self) -> Option<WorkerView> {
        let heartbeat: Heartbeat = serde_json::from_str(self.heartbeat).ok()?;
        let mut lines: Vec<WorkerQueueView> =
            self.queues.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        lines.sort_by(|a, b| a.queue.cmp(&b.queue));
        // Not yet said, or by another version of this library: it is not relied on.
        let known_jobs = self.known_jobs.and_then(|text| serde_json::from_str::<Vec<KnownJob>>(text).ok());
        let (id, heard, known_jobs) = (self.id, self.heard, known_jobs.unwrap_or_default());
        let Heartbeat {
            label,
            version,
            pid,
            host,
            language,
            draining,
            unhealthy_reason,
            memory_bytes,
            cpu,
            payload_keys,
        } = heartbeat;
        let unwell = unhealthy_reason;
        Some(WorkerView {
            id,
            label,
            version,
            pid,
            host,
            language,
            heard,
            draining,
            unwell,
            memory_bytes,
            cpu,
            lines,
            known_jobs,
            payload_keys,
        })
    }
}

/// As it stands in a registry.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("serializing a struct with string keys cannot fail")
}
