//! Reaps leases that have run out, whichever worker held them, and delays that are over.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use tokio::runtime::Handle;
use tracing::warn;

use super::{
    DeadLetter, DeadLetterReason, DeadLetterSink,
    acks::{record_lost, store_dead_letter},
    held_leases::HeldLeases,
};
use crate::broker::{BrokerError, BrokerQueue, REAP_BATCH_SIZE, ReapResult};

pub(super) struct Reaper {
    pub(super) queue: BrokerQueue,
    pub(super) held: Arc<HeldLeases>,
    pub(super) dead_letters: Arc<dyn DeadLetterSink>,
    pub(super) lease: Duration,
    pub(super) max_deliveries: u32,
    /// Where dead letters are stored: not on the thread of the leases.
    pub(super) runtime: Handle,
}

/// Until the next look for leases that have run out, with jitter: of two that look at the same beat one is always just before the
/// other, and a dead letter that it leaves to workers which know the job would never come to them.
pub(crate) fn pause(lease: Duration) -> Duration {
    (lease / 6).min(Duration::from_millis(500)).mul_f64(rand::rng().random_range(0.75..1.25))
}

impl Reaper {
    /// Until the next look.
    pub(super) fn pause(&self) -> Duration {
        pause(self.lease)
    }

    /// Puts the jobs back in line, and stores those as dead letters that have used up their deliveries.
    pub(super) async fn reap(&self) -> Result<(), BrokerError> {
        loop {
            let ReapResult { requeued, dead, lost } = self.queue.reap(self.max_deliveries, self.lease).await?;
            let found = requeued + dead.len() as u64;
            if requeued > 0 {
                warn!(jobs = requeued, "leases or delays ran out: their jobs are delivered again");
            }
            if !lost.is_empty() {
                metrics::counter!("gristmill_leases_expired_total").increment(lost.len() as u64);
                self.runtime.spawn(record_lost(Arc::clone(&self.dead_letters), lost));
            }
            for lease in dead {
                let reason = DeadLetterReason::LostWorker { deliveries: lease.failed_deliveries.count() as u64 };
                let lost = lease.failed_deliveries.lost(&lease.id);
                let job = DeadLetter { id: lease.id, payload: lease.payload, reason };
                let (held, dead_letters) = (Arc::clone(&self.held), Arc::clone(&self.dead_letters));
                self.runtime.spawn(async move {
                    record_lost(Arc::clone(&dead_letters), lost).await;
                    store_dead_letter(held, dead_letters, job, lease.number).await;
                });
            }
            if found < REAP_BATCH_SIZE {
                return Ok(());
            }
        }
    }
}
