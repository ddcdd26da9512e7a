//! The leases of one queue that this process holds.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    RunningName,
    acks::{AckMessage, AckOutcome, AckReply},
};
use crate::broker::{Lease, RunningView};

/// For this long after a worker left a job to others it looks at its queue by itself: the job is back in line within half
/// of this time.
const LEFT_JOB_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct HeldLeases {
    leases: Mutex<HashMap<String, Held>>,
    room: AtomicUsize,
    freed: Notify,
    acks: mpsc::UnboundedSender<AckMessage>,
    /// When the last call began that renewed the leases.
    renewed: Mutex<Instant>,
    /// Deliveries of jobs that this process claimed again meanwhile: it lives, and only it can say so.
    overtaken: Mutex<Vec<(String, u64)>>,
    /// When a job was last left to other workers.
    left_job: Mutex<Option<Instant>>,
}

struct Held {
    number: u64,
    /// Milliseconds since 1970.
    since: u64,
    name: RunningName,
    lost: CancellationToken,
}

impl HeldLeases {
    pub(super) fn new(concurrency: usize, acks: mpsc::UnboundedSender<AckMessage>) -> Self {
        Self {
            leases: Mutex::default(),
            room: AtomicUsize::new(concurrency),
            freed: Notify::new(),
            acks,
            renewed: Mutex::new(Instant::now()),
            overtaken: Mutex::default(),
            left_job: Mutex::default(),
        }
    }

    /// How many more jobs may be claimed.
    pub(super) fn room(&self) -> usize {
        self.room.load(Ordering::Acquire)
    }

    /// Waits until there may be room for another job.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    pub(super) fn set_renewed(&self, at: Instant) {
        *lock(&self.renewed) = at;
    }

    /// The age of the last renewal. No lease that this process holds can have run out before this is longer than a lease.
    pub(super) fn renewed_ago(&self) -> Duration {
        lock(&self.renewed).elapsed()
    }

    pub(super) fn take_overtaken(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut *lock(&self.overtaken))
    }

    /// Adds leases that were claimed. Returns for each of them the token that is cancelled when it is lost, and the place
    /// for the job's name.
    pub(super) fn insert(&self, leases: &[Lease]) -> Vec<(CancellationToken, RunningName)> {
        self.room.fetch_sub(leases.len(), Ordering::AcqRel);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        let mut held = lock(&self.leases);
        leases
            .iter()
            .map(|lease| {
                let lost = CancellationToken::new();
                let name = RunningName::default();
                let new = Held { number: lease.number, since, name: name.clone(), lost: lost.clone() };
                if let Some(old) = held.insert(lease.id.clone(), new) {
                    old.lost.cancel();
                    lock(&self.overtaken).push((lease.id.clone(), old.number));
                }
                (lost, name)
            })
            .collect()
    }

    /// Ends a lease. There is room for another job at once; the lease is renewed until the broker has the acknowledgement.
    pub(super) fn finish(&self, reply: AckReply) {
        if let AckOutcome::Unreadable(_) = reply.outcome {
            *lock(&self.left_job) = Some(Instant::now());
        }
        self.free();
        self.send(AckMessage::Reply(reply));
    }

    pub(super) fn has_left_job_lately(&self) -> bool {
        lock(&self.left_job).is_some_and(|at| at.elapsed() < LEFT_JOB_PAUSE)
    }

    pub(super) fn free(&self) {
        self.room.fetch_add(1, Ordering::AcqRel);
        self.freed.notify_one();
    }

    pub(super) fn send(&self, message: AckMessage) {
        // The receiver is dropped last of all; without it nothing can reach the broker.
        let _ = self.acks.send(message);
    }

    /// Removes the leases whose acknowledgements the broker has. (A job that this process claimed again meanwhile stays.)
    pub(super) fn forget<'a>(&self, acked: impl Iterator<Item = (&'a String, u64)>) {
        let mut held = lock(&self.leases);
        for (id, number) in acked {
            if held.get(id).is_some_and(|held| held.number == number) {
                held.remove(id);
            }
        }
    }

    pub(super) fn list(&self) -> Vec<(String, u64)> {
        lock(&self.leases).iter().map(|(id, held)| (id.clone(), held.number)).collect()
    }

    /// How many jobs this process holds, and those that it has held longest.
    pub(super) fn running(&self, limit: usize) -> (usize, Vec<RunningView>) {
        let held = lock(&self.leases);
        let mut oldest: Vec<_> = held.iter().collect();
        oldest.sort_by(|a, b| (a.1.since, a.0).cmp(&(b.1.since, b.0)));
        oldest.truncate(limit);
        let view =
            |(id, held): (&String, &Held)| RunningView::new(id.clone(), held.name.get(), held.number, held.since);
        (held.len(), oldest.into_iter().map(view).collect())
    }

    /// Cancels the tokens of jobs that another worker has now.
    pub(super) fn mark_lost(&self, ids: &[String]) {
        let held = lock(&self.leases);
        for id in ids {
            if let Some(held) = held.get(id) {
                held.lost.cancel();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A claimed job on its way to the service.
pub(super) struct ClaimedJob {
    pub(super) lease: Lease,
    pub(super) lost: CancellationToken,
    pub(super) name: RunningName,
}

/// The receiving end of the claimed jobs, shared with the task that releases what was not started when the worker stops.
pub(super) type FetchedJobs = Arc<Mutex<Option<mpsc::UnboundedReceiver<ClaimedJob>>>>;

/// Releases the jobs that were claimed and not started.
pub(super) fn release_unstarted(fetched: &FetchedJobs, held: &HeldLeases) {
    let mut fetched = lock(fetched);
    let Some(receiver) = fetched.as_mut() else { return };
    receiver.close();
    while let Ok(ClaimedJob { lease, .. }) = receiver.try_recv() {
        held.finish(AckReply { id: lease.id, number: lease.number, outcome: AckOutcome::Requeue(Duration::ZERO) });
    }
}
