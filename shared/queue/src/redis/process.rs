//! What the queue lines of one worker share: who it is, whether it drains, and when each line last got anywhere.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{KnownJob, usage::Usage};

/// A worker, over all its queues. Cheap to clone; [`super::Settings::new`] makes one of its own.
#[derive(Debug, Clone)]
pub struct Process(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Uuid,
    usage: Mutex<Usage>,
    drain: CancellationToken,
    unwell: Mutex<Option<String>>,
    lines: Mutex<Vec<Weak<Vitals>>>,
    knows: Mutex<Vec<KnownJob>>,
    heard: Mutex<Option<Instant>>,
}

/// When one line last got anywhere.
#[derive(Debug)]
pub(super) struct Vitals {
    queue: String,
    progress: Mutex<Instant>,
    /// No room for more, or no more wanted.
    content: AtomicBool,
    reconnects: Arc<AtomicU64>,
}

impl Default for Process {
    fn default() -> Self {
        Self(Arc::new(Inner {
            id: Uuid::new_v4(),
            usage: Mutex::default(),
            drain: CancellationToken::new(),
            unwell: Mutex::default(),
            lines: Mutex::default(),
            knows: Mutex::default(),
            heard: Mutex::default(),
        }))
    }
}

impl Process {
    /// Random.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Once cancelled, its lines claim nothing more and finish what they have.
    #[must_use]
    pub fn drain(&self) -> CancellationToken {
        self.0.drain.clone()
    }

    /// Queues in which, for `limit`, nothing was claimed or acknowledged although there was room, and the broker did
    /// not say that nothing waits or that they are held.
    #[must_use]
    pub fn stalled(&self, limit: Duration) -> Vec<String> {
        let mut lines = lock(&self.0.lines);
        lines.retain(|line| line.strong_count() > 0);
        let alive = lines.iter().filter_map(Weak::upgrade);
        alive.filter(|line| line.silence() >= limit).map(|line| line.queue.clone()).collect()
    }

    /// What the lines of this queue share with others (see [`super::Links`]) makes its connections anew.
    pub fn reconnect(&self, queue: &str) {
        for line in lock(&self.0.lines).iter().filter_map(Weak::upgrade).filter(|line| line.queue == queue) {
            line.reconnects.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Why it is of no use any more; none: it is well.
    #[must_use]
    pub fn unwell(&self) -> Option<String> {
        lock(&self.0.unwell).clone()
    }

    /// Says how it is.
    pub fn set_unwell(&self, reason: Option<String>) {
        *lock(&self.0.unwell) = reason;
    }

    /// Says which jobs it can read, before its lines start.
    pub fn set_knows(&self, jobs: Vec<KnownJob>) {
        *lock(&self.0.knows) = jobs;
    }

    pub(super) fn knows(&self) -> Vec<KnownJob> {
        lock(&self.0.knows).clone()
    }

    /// The list of workers has it from now on; until now it did not, or it was lost.
    pub(super) fn set_heard(&self) {
        *lock(&self.0.heard) = Some(Instant::now());
    }

    /// For how long it has been in the list of workers without a break, which is how long that list is good for: what
    /// lives says so every two seconds. None: it is not in it.
    #[must_use]
    pub fn heard_for(&self) -> Option<Duration> {
        lock(&self.0.heard).map(|heard| heard.elapsed())
    }

    pub(super) fn usage(&self) -> (Option<u64>, Option<f64>) {
        lock(&self.0.usage).measure()
    }

    pub(super) fn line(&self, queue: &str, reconnects: Arc<AtomicU64>) -> Arc<Vitals> {
        let progress = Mutex::new(Instant::now());
        let vitals = Arc::new(Vitals { queue: queue.into(), progress, content: AtomicBool::new(false), reconnects });
        lock(&self.0.lines).push(Arc::downgrade(&vitals));
        vitals
    }
}

impl Vitals {
    pub(super) fn progress(&self) {
        *lock(&self.progress) = Instant::now();
    }

    pub(super) fn set_content(&self, content: bool) {
        self.progress();
        self.content.store(content, Ordering::Release);
    }

    fn silence(&self) -> Duration {
        if self.content.load(Ordering::Acquire) { Duration::ZERO } else { lock(&self.progress).elapsed() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
