//! The state that all queues of one worker share: its id, whether it drains, whether it is healthy, which jobs it knows.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::procfs::Usage;
use crate::broker::KnownJob;

/// The state of a worker, over all its queues. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct WorkerState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Uuid,
    usage: Mutex<Usage>,
    drain: CancellationToken,
    unhealthy_reason: Mutex<Option<String>>,
    queues: Mutex<Vec<Weak<QueueVitals>>>,
    known_jobs: Mutex<Vec<KnownJob>>,
    payload_keys: Mutex<Vec<String>>,
    registered: Mutex<Option<Instant>>,
}

/// When one queue of a worker last made progress.
#[derive(Debug)]
pub(super) struct QueueVitals {
    queue: String,
    progress: Mutex<Instant>,
    /// It has no room for another job, or wants none.
    is_idle: AtomicBool,
    /// Of its connections: who raises it has them replaced.
    generation: Arc<AtomicU64>,
}

impl Default for WorkerState {
    fn default() -> Self {
        Self(Arc::new(Inner {
            id: Uuid::new_v4(),
            usage: Mutex::default(),
            drain: CancellationToken::new(),
            unhealthy_reason: Mutex::default(),
            queues: Mutex::default(),
            known_jobs: Mutex::default(),
            payload_keys: Mutex::default(),
            registered: Mutex::default(),
        }))
    }
}

impl WorkerState {
    /// The worker's id, which is random.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Once this token is cancelled, the worker claims no more jobs and finishes those that it has.
    #[must_use]
    pub fn drain(&self) -> CancellationToken {
        self.0.drain.clone()
    }

    /// Queues in which the worker claimed and acknowledged nothing for `limit`, although it had room and the broker did not
    /// say that no jobs wait or that the queue is throttled.
    #[must_use]
    pub fn stalled(&self, limit: Duration) -> Vec<String> {
        let mut queues = lock(&self.0.queues);
        queues.retain(|vitals| vitals.strong_count() > 0);
        let alive = queues.iter().filter_map(Weak::upgrade);
        alive.filter(|vitals| vitals.silence() >= limit).map(|vitals| vitals.queue.clone()).collect()
    }

    /// Replaces the connections that this queue uses, and shares with other queues.
    pub fn reconnect(&self, queue: &str) {
        for vitals in lock(&self.0.queues).iter().filter_map(Weak::upgrade).filter(|vitals| vitals.queue == queue) {
            vitals.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Why the worker is unhealthy. `None` means that it is healthy.
    #[must_use]
    pub fn unhealthy_reason(&self) -> Option<String> {
        lock(&self.0.unhealthy_reason).clone()
    }

    /// Records why the worker is unhealthy, or with `None` that it is healthy again.
    pub fn set_unhealthy_reason(&self, reason: Option<String>) {
        *lock(&self.0.unhealthy_reason) = reason;
    }

    /// Sets the jobs that the worker can read. Call this before its queues start.
    pub fn set_known_jobs(&self, jobs: Vec<KnownJob>) {
        *lock(&self.0.known_jobs) = jobs;
    }

    /// Sets the ids of the keys that the worker decrypts payloads with. Call this before its queues start.
    pub fn set_payload_keys(&self, keys: Vec<String>) {
        *lock(&self.0.payload_keys) = keys;
    }

    pub(super) fn payload_keys(&self) -> Vec<String> {
        lock(&self.0.payload_keys).clone()
    }

    pub(super) fn known_jobs(&self) -> Vec<KnownJob> {
        lock(&self.0.known_jobs).clone()
    }

    /// The registry lists the worker from now on: it is new there, or the broker had lost it.
    pub(super) fn set_registered(&self) {
        *lock(&self.0.registered) = Some(Instant::now());
    }

    /// For how long the registry has listed the worker without a break. Every live worker sends a heartbeat within two
    /// seconds, so this tells how complete the registry is. `None` means that the worker is not listed.
    #[must_use]
    pub fn registered_for(&self) -> Option<Duration> {
        lock(&self.0.registered).map(|registered| registered.elapsed())
    }

    pub(super) fn usage(&self) -> (Option<u64>, Option<f64>) {
        lock(&self.0.usage).measure()
    }

    /// Adds a queue; the worker watches it as long as the answer lives.
    pub(super) fn add_queue(&self, queue: &str, generation: Arc<AtomicU64>) -> Arc<QueueVitals> {
        let progress = Mutex::new(Instant::now());
        let vitals =
            Arc::new(QueueVitals { queue: queue.into(), progress, is_idle: AtomicBool::new(false), generation });
        lock(&self.0.queues).push(Arc::downgrade(&vitals));
        vitals
    }
}

impl QueueVitals {
    pub(super) fn record_progress(&self) {
        *lock(&self.progress) = Instant::now();
    }

    pub(super) fn set_idle(&self, is_idle: bool) {
        self.record_progress();
        self.is_idle.store(is_idle, Ordering::Release);
    }

    fn silence(&self) -> Duration {
        if self.is_idle.load(Ordering::Acquire) { Duration::ZERO } else { lock(&self.progress).elapsed() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
