//! Claims for a remote worker: waits for jobs, and gives it those that it can run.

mod put_back;
mod read;
mod sort;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::select_all;
use gristmill_core::chain;
use rand::RngExt as _;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::{Inner, MAX_CLAIM, MAX_WAIT, RemoteClaim, RemoteDelivery, RemoteJobs, keeper::Line};
use crate::{
    QueueError,
    broker::{ReleaseReason, Throttle},
    delivery,
    ledger::park::Reader,
    run::known::UNPARK_INTERVAL,
};
use put_back::release;

/// Before the next claim, after one that failed.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// How often a worker that may take nothing looks whether it may, and a paused queue is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// One look at all queues of a worker.
#[derive(Default)]
struct Look {
    deliveries: Vec<RemoteDelivery>,
    /// Jobs that the worker cannot run were left to others: their wake-ups are not for it.
    left: bool,
    /// When to look again; nothing: when woken.
    again: Option<Duration>,
}

impl Inner {
    pub(super) async fn claim(self: &Arc<Self>, mut wanted: RemoteClaim) -> Result<RemoteJobs, QueueError> {
        let deadline = Instant::now() + wanted.wait.min(MAX_WAIT);
        wanted.names.sort_unstable();
        wanted.names.dedup();
        limit(&mut wanted.queues);
        let left = self.sessions.with(&wanted.worker, |session| {
            session.describe(&wanted.worker);
            session.wants(&wanted.queues, &wanted.names, self.lease);
            session.left.clone()
        });
        let lines: Vec<(Arc<Line>, usize)> =
            wanted.queues.iter().filter(|(_, room)| **room > 0).map(|(name, room)| (self.line(name), *room)).collect();
        let wanted = Arc::new(wanted);
        // One that has left reads no answer any more, also where nothing says that its connection has ended.
        while !left.is_cancelled() {
            self.beat(&wanted.worker, false).await;
            self.look_for_parked(&wanted);
            let (draining, reserved) = self.sessions.with(&wanted.worker, |session| {
                session.forget_expired(self.lease);
                (session.draining, session.is_reserved())
            });
            let pause = if draining || reserved || lines.is_empty() {
                Some(POLL_INTERVAL)
            } else {
                match self.look_to_the_end(&lines, &wanted).await {
                    Ok(look) if left.is_cancelled() => {
                        self.give_back(&wanted.worker, look.deliveries).await;
                        break;
                    }
                    Ok(look) if !look.deliveries.is_empty() => {
                        return Ok(RemoteJobs { deliveries: look.deliveries, lease: self.lease, drain: false });
                    }
                    // Wake-ups go from worker to worker: they are for the others now.
                    Ok(Look { left: true, .. }) => Some(delivery::MAX_WAIT.mul_f64(rand::rng().random_range(0.1..0.5))),
                    Ok(look) => look.again,
                    Err(error) if Instant::now() + RETRY_DELAY >= deadline => return Err(error),
                    Err(error) => {
                        debug!(error = chain(&error), "claiming for a remote worker failed; retrying");
                        Some(RETRY_DELAY)
                    }
                }
            };
            let wait = deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                let drain = self.sessions.with(&wanted.worker, |session| session.draining);
                return Ok(RemoteJobs { deliveries: Vec::new(), lease: self.lease, drain });
            }
            let pause = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => self.woken(&lines).await,
                }
            };
            let _ = tokio::time::timeout(wait, left.run_until_cancelled(pause)).await;
        }
        Ok(RemoteJobs { deliveries: Vec::new(), lease: self.lease, drain: false })
    }

    /// Until one of these queues may have a job.
    async fn woken(&self, lines: &[(Arc<Line>, usize)]) {
        match self.thread() {
            Ok(thread) => {
                let asleep = lines.iter().map(|(line, _)| Box::pin(thread.wakes.sleep(line.claims.wake_name())));
                select_all(asleep).await;
            }
            Err(error) => {
                warn!(%error, "no thread can be started that waits for jobs: queues are looked at instead");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    fn thread(&self) -> std::io::Result<Arc<crate::broker::LeaseThread>> {
        let mut thread = super::lock(&self.thread);
        if let Some(thread) = &*thread {
            return Ok(Arc::clone(thread));
        }
        Ok(Arc::clone(thread.insert(self.queue.links().thread()?)))
    }

    /// On a task of its own: who hangs up meanwhile loses no job, as what it would have been given is given back.
    async fn look_to_the_end(
        self: &Arc<Self>,
        lines: &[(Arc<Line>, usize)],
        wanted: &Arc<RemoteClaim>,
    ) -> Result<Look, QueueError> {
        let (answer, looked) = oneshot::channel();
        let (inner, lines, wanted) = (Arc::clone(self), lines.to_vec(), Arc::clone(wanted));
        tokio::spawn(async move {
            let look = inner.look(&lines, &wanted).await;
            if let Err(Ok(look)) = answer.send(look) {
                inner.give_back(&wanted.worker, look.deliveries).await;
            }
        });
        // It answers, unless the runtime ends.
        looked.await.unwrap_or_else(|_| Ok(Look { again: Some(RETRY_DELAY), ..Look::default() }))
    }

    async fn look(&self, lines: &[(Arc<Line>, usize)], wanted: &RemoteClaim) -> Result<Look, QueueError> {
        static TURN: AtomicU32 = AtomicU32::new(0);
        // As local workers do: now and then from the least urgent.
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let mut look = Look::default();
        let mut sleeps = false;
        for at in 0..lines.len() {
            let (line, room) = &lines[(turn as usize + at) % lines.len()];
            let claimed = match line.claims.claim(self.lease, *room, turn.is_multiple_of(16)).await {
                Ok(claimed) => claimed,
                // What other queues gave must be worked on.
                Err(error) if !look.deliveries.is_empty() => {
                    debug!(%error, queue = line.name, "claiming for a remote worker failed");
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            match claimed.throttle {
                Throttle::None | Throttle::AtLimit => sleeps = true,
                Throttle::Paused => look.again_in(POLL_INTERVAL),
                Throttle::RateLimited(next) => look.again_in(next.min(delivery::MAX_WAIT)),
            }
            if claimed.leases.is_empty() {
                continue;
            }
            let leases = claimed.leases;
            let given_back = leases.clone();
            match self.sort(line, leases, wanted, &mut look).await {
                Ok(()) => {}
                Err(error) => {
                    self.release(line, given_back.iter().map(|lease| release(lease, RETRY_DELAY, ReleaseReason::Wait)))
                        .await;
                    if look.deliveries.is_empty() {
                        return Err(error);
                    }
                    debug!(error = chain(&error), queue = line.name, "the ledger does not say what is to be done");
                    break;
                }
            }
        }
        if sleeps && look.again.is_some() {
            // A wake-up may come for one of them, and for the others there is none.
            look.again_in(POLL_INTERVAL);
        }
        Ok(look)
    }

    /// What others could not read this worker may: tried when it comes, and then again and again.
    fn look_for_parked(self: &Arc<Self>, wanted: &Arc<RemoteClaim>) {
        let patient = self.sessions.with(&wanted.worker, |session| {
            if session.registered.is_none() || session.unparked.is_some_and(|at| at.elapsed() < UNPARK_INTERVAL) {
                return None;
            }
            Some(session.unparked.replace(Instant::now()).is_some())
        });
        let Some(patient) = patient else { return };
        let (inner, wanted) = (Arc::clone(self), Arc::clone(wanted));
        tokio::spawn(async move {
            let queues: Vec<String> = wanted.queues.keys().cloned().collect();
            let jobs = inner.sessions.with(&wanted.worker, |session| session.known_jobs());
            let (id, keys) = (inner.reader(&wanted), inner.payload_keys());
            let reader = Reader { id: &id, jobs: &jobs, keys: &keys };
            loop {
                match inner.queue.unpark(reader, &queues, patient).await {
                    Ok(0) => return,
                    Ok(jobs) => {
                        info!(jobs, worker = wanted.worker.name, "unparked jobs that other workers could not read")
                    }
                    Err(error) => {
                        warn!(error = chain(&error), "looking for parked jobs failed; it is tried again later");
                        return;
                    }
                }
            }
        });
    }
}

impl Look {
    fn again_in(&mut self, pause: Duration) {
        self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
    }
}

/// So many jobs in all.
fn limit(queues: &mut BTreeMap<String, usize>) {
    let mut left = MAX_CLAIM;
    for room in queues.values_mut() {
        *room = (*room).min(left);
        left -= *room;
    }
}
