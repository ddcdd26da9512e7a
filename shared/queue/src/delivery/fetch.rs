//! Claims jobs: as many as there is room for, as soon as there is room.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    DeadLetter, DeadLetterReason, DeadLetterSink,
    acks::{AckOutcome, AckReply, record_lost, store_dead_letter},
    held_leases::{ClaimedJob, HeldLeases},
    occupancy::Occupancy,
    wakes::MAX_WAIT,
    worker_state::QueueVitals,
};
use crate::broker::{BrokerQueue, ClaimResult, Lease, LeaseThread, Throttle};

/// Says why a payload cannot be handed to the service.
type DecodeCheck = dyn Fn(&Vec<u8>) -> Option<String> + Send + Sync;

pub(super) struct Fetcher {
    pub(super) queue: BrokerQueue,
    pub(super) thread: Arc<LeaseThread>,
    pub(super) vitals: Arc<QueueVitals>,
    pub(super) lease: Duration,
    pub(super) held: Arc<HeldLeases>,
    pub(super) occupancy: Occupancy,
    pub(super) stop: CancellationToken,
    pub(super) out: mpsc::UnboundedSender<ClaimedJob>,
    pub(super) decode_check: Box<DecodeCheck>,
    pub(super) dead_letters: Arc<dyn DeadLetterSink>,
}

impl Fetcher {
    /// Claims until it is stopped. No error of the broker ends it.
    pub(super) async fn run(self) {
        let mut turn = 0_u32;
        let mut failing = false;
        let mut woken_in_vain = WokenInVain::default();
        while !self.stop.is_cancelled() {
            let room = self.held.room();
            if room == 0 {
                self.idle_until(self.held.freed()).await;
                continue;
            }
            if self.occupancy.has_suspect() {
                self.idle_until(self.occupancy.open()).await;
                continue;
            }
            turn = turn.wrapping_add(1);
            let from_lowest = turn.is_multiple_of(16);
            let claimed = self.queue.claim(self.lease, room, from_lowest).await;
            let pause = match claimed {
                Ok(claimed) => {
                    if std::mem::take(&mut failing) {
                        info!("the broker answers again");
                    }
                    woken_in_vain.note(claimed.leases.is_empty());
                    let pause = Pause::after(&claimed);
                    if !claimed.stuck {
                        self.vitals.record_progress();
                    }
                    if !self.dispatch(claimed.leases) {
                        break;
                    }
                    pause
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "claiming jobs from the broker failed; retrying");
                    }
                    Pause::For(RETRY_DELAY)
                }
            };
            tokio::select! {
                () = self.wait(pause, &mut woken_in_vain) => {}
                () = self.stop.cancelled() => {}
            }
        }
        self.vitals.set_idle(true);
    }

    async fn idle_until(&self, event: impl Future<Output = ()>) {
        self.vitals.set_idle(true);
        tokio::select! {
            () = event => {}
            () = self.stop.cancelled() => {}
        }
        self.vitals.set_idle(false);
    }

    async fn wait(&self, pause: Pause, woken_in_vain: &mut WokenInVain) {
        match pause {
            Pause::None => {}
            Pause::For(pause) => tokio::time::sleep(pause).await,
            // Wake-ups go from worker to worker: one that is woken for a job that it leaves to others might be woken each
            // time that job is back in line. The wake-ups are for the others now; this worker looks by itself.
            Pause::UntilWoken if self.held.has_left_job_lately() => {
                let pause = MAX_WAIT.mul_f64(rand::rng().random_range(0.1..0.5));
                tokio::time::sleep(pause).await;
            }
            Pause::UntilWoken => {
                woken_in_vain.woken = self.thread.wakes.sleep(self.queue.wake_name()).await;
                if woken_in_vain.woken && self.queue.wakes_everybody() {
                    tokio::time::sleep(woken_in_vain.delay()).await;
                }
            }
        }
    }

    /// Hands claimed jobs to the service. Returns false when the service takes no more.
    fn dispatch(&self, leases: Vec<Lease>) -> bool {
        let tokens = self.held.insert(&leases);
        // The worker that found these lost deliveries may have been lost too before it recorded them.
        let lost: Vec<_> = leases.iter().flat_map(|lease| lease.failed_deliveries.lost(&lease.id)).collect();
        if !lost.is_empty() {
            tokio::spawn(record_lost(Arc::clone(&self.dead_letters), lost));
        }
        for (lease, (lost, name)) in leases.into_iter().zip(tokens) {
            if lease.number > 1 {
                metrics::counter!("gristmill_redeliveries_total").increment(1);
            }
            if let Some(error) = (self.decode_check)(&lease.payload) {
                self.held.free();
                let reason = DeadLetterReason::Undecodable(error);
                let job = DeadLetter { id: lease.id, payload: lease.payload, reason };
                let (held, dead_letters) = (Arc::clone(&self.held), Arc::clone(&self.dead_letters));
                tokio::spawn(store_dead_letter(held, dead_letters, job, lease.number));
                continue;
            }
            if let Err(unsent) = self.out.send(ClaimedJob { lease, lost, name }) {
                let Lease { id, number, .. } = unsent.0.lease;
                self.held.finish(AckReply { id, number, outcome: AckOutcome::Requeue(Duration::ZERO) });
                return false;
            }
        }
        true
    }
}

/// Before the next claim, after one that failed.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// How often a worker looks at a paused queue, which wakes nobody when it is resumed.
const PAUSED_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// What to do before the next claim.
enum Pause {
    None,
    For(Duration),
    UntilWoken,
}

impl Pause {
    fn after(claimed: &ClaimResult) -> Self {
        match claimed.throttle {
            _ if !claimed.leases.is_empty() => Self::None,
            Throttle::None | Throttle::AtLimit => Self::UntilWoken,
            Throttle::Paused => Self::For(PAUSED_POLL_INTERVAL),
            Throttle::RateLimited(next) => Self::For(next.min(MAX_WAIT)),
        }
    }
}

/// How often in a row a wake-up brought nothing: where each goes to all, one that comes too late each time leaves the next to the
/// others, for a while that grows.
#[derive(Default)]
struct WokenInVain {
    woken: bool,
    times: u32,
}

impl WokenInVain {
    fn note(&mut self, found_nothing: bool) {
        if !found_nothing {
            self.times = 0;
        } else if self.woken {
            self.times += 1;
        }
        self.woken = false;
    }

    fn delay(&self) -> Duration {
        if self.times == 0 { Duration::ZERO } else { Duration::from_millis(1 << self.times.min(6)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_woken_in_vain_again_and_again_waits_longer_until_it_finds_something() {
        let mut woken_in_vain = WokenInVain::default();
        let mut claim = |woken, found_nothing| {
            woken_in_vain.woken = woken;
            woken_in_vain.note(found_nothing);
            woken_in_vain.delay().as_millis()
        };
        assert_eq!(claim(true, false), 0);
        assert_eq!(claim(false, true), 0, "it looked by itself");
        assert_eq!([claim(true, true), claim(true, true), claim(true, true)], [2, 4, 8]);
        assert_eq!((0..9).map(|_| claim(true, true)).last(), Some(64));
        assert_eq!(claim(true, false), 0);
    }
}
