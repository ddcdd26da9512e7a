//! Who works, and on what. One entry a worker, whatever the number of its queues; who is silent for half a minute is gone.

use std::{sync::LazyLock, time::Duration};

use ::redis::{RedisResult, Script, aio::ConnectionLike};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

static FAREWELL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/farewell.lua")));
static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/beat.lua")));
static DRAIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drain.lua")));

/// A worker that has not been heard of for this long is gone.
const HEARD: Duration = Duration::from_secs(30);

/// The workers of a namespace.
#[derive(Debug, Clone)]
pub struct Roster {
    workers: String,
    tag: String,
}

/// A worker heard of in the last half minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct WorkerView {
    /// Random.
    pub id: Uuid,
    /// For people.
    pub label: String,
    /// Of its binary.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where that runs, if known.
    pub host: Option<String>,
    /// When it was last heard of, in seconds since 1970 by Redis' clock.
    pub heard: u64,
    /// Takes no more jobs.
    pub draining: bool,
    /// Why it is of no use any more.
    pub unwell: Option<String>,
    /// Resident memory in bytes, if known.
    pub memory_bytes: Option<u64>,
    /// Processors it used since its last heartbeat (1.0: one of them, all the time), if known.
    pub cpu: Option<f64>,
    /// Its queues.
    pub lines: Vec<LineView>,
    /// The jobs it has bodies for: for other workers, not for people.
    #[serde(skip)]
    pub knows: Vec<KnownJob>,
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
pub struct LineView {
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

/// A job that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunningView {
    /// The job.
    pub id: String,
    /// Its name, where the payload tells.
    pub name: Option<String>,
    /// Which delivery this is, from 1.
    pub delivery: u64,
    /// When it was claimed, in milliseconds since 1970 by the worker's clock.
    pub since_ms: u64,
}

/// What all lines of a worker say alike.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) label: String,
    pub(super) version: String,
    pub(super) pid: u32,
    pub(super) host: Option<String>,
    pub(super) draining: bool,
    pub(super) unwell: Option<String>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu: Option<f64>,
}

/// What a heartbeat is answered.
pub(super) struct Heard {
    /// The worker is to take no more jobs.
    pub(super) drain: bool,
    /// It has said which jobs it can read.
    pub(super) knows: bool,
}

impl RunningView {
    pub(super) fn new(id: String, name: Option<String>, delivery: u64, since_ms: u64) -> Self {
        Self { id, name, delivery, since_ms }
    }
}

impl LineView {
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

impl Roster {
    /// Of this namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        let tag = format!("{{{namespace}}}");
        Self { workers: format!("{tag}:workers"), tag }
    }

    fn worker(&self, id: Uuid) -> String {
        format!("{}:worker:{}", self.tag, id.simple())
    }

    /// Workers heard of lately, by label.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn list<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<Vec<WorkerView>> {
        let ((now, _), seen): ((u64, u64), Vec<(String, u64)>) =
            ::redis::pipe().cmd("TIME").zrange_withscores(&self.workers, 0, -1).query_async(conn).await?;
        let seen: Vec<(Uuid, u64)> = seen
            .into_iter()
            .filter(|(_, heard)| heard + HEARD.as_secs() > now)
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

    /// Whether a worker of this id was heard of in the last half minute.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn is_known<C: ConnectionLike + Send>(&self, conn: &mut C, id: Uuid) -> RedisResult<bool> {
        ::redis::cmd("EXISTS").arg(self.worker(id)).query_async(conn).await
    }

    /// Asks a worker to take no more jobs, which it learns within two seconds. False: nobody of this id was heard of.
    ///
    /// # Errors
    /// When Redis does.
    pub async fn drain<C: ConnectionLike + Send>(&self, conn: &mut C, id: Uuid) -> RedisResult<bool> {
        DRAIN.key(self.worker(id)).invoke_async(conn).await
    }

    /// Says that a worker lives, what one of its lines does and, unless that is known already, which jobs it can read.
    pub(super) async fn beat<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        id: Uuid,
        told: &Told,
        line: (&Uuid, &LineView),
        knows: Option<&[KnownJob]>,
    ) -> RedisResult<Heard> {
        let mut call = BEAT.key(&self.workers);
        call.key(self.worker(id)).arg(id.to_string()).arg(json(told)).arg(HEARD.as_secs());
        call.arg(format!("line:{}", line.0)).arg(json(line.1));
        if let Some(knows) = knows {
            call.arg(json(&knows));
        }
        let (drain, knows) = call.invoke_async(conn).await?;
        Ok(Heard { drain, knows })
    }

    /// Removes one line of a worker, and with the last one the worker.
    pub(super) async fn farewell<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        id: Uuid,
        line: &Uuid,
    ) -> RedisResult<()> {
        let mut call = FAREWELL.key(&self.workers);
        call.key(self.worker(id)).arg(id.to_string()).arg(format!("line:{line}")).invoke_async(conn).await
    }
}

/// None: written by another version of this library.
fn view(id: Uuid, heard: u64, fields: &[(String, String)]) -> Option<WorkerView> {
    let told: Told =
        fields.iter().find(|(name, _)| name == "told").and_then(|(_, text)| serde_json::from_str(text).ok())?;
    let lines = fields.iter().filter(|(name, _)| name.starts_with("line:"));
    let mut lines: Vec<LineView> = lines.filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
    lines.sort_by(|a, b| a.queue.cmp(&b.queue));
    // Not yet told, or by another version of this library: it is not relied on.
    let knows = fields.iter().find(|(name, _)| name == "knows").and_then(|(_, text)| serde_json::from_str(text).ok());
    let knows: Vec<KnownJob> = knows.unwrap_or_default();
    let Told { label, version, pid, host, draining, unwell, memory_bytes, cpu } = told;
    Some(WorkerView { id, label, version, pid, host, heard, draining, unwell, memory_bytes, cpu, lines, knows })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it has string keys only")
}
