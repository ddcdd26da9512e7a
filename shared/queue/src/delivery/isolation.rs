//! Decides whether a job runs beside others, or alone because it is suspected of taking its workers down.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::occupancy::{Alone, Occupancy, Shared};
use crate::broker::{BrokerQueue, FailedDeliveries};

#[derive(Clone)]
pub(super) struct Isolation {
    pub(super) queue: BrokerQueue,
    pub(super) occupancy: Occupancy,
    pub(super) max_deliveries: u32,
    /// Cancelled when the worker takes no more jobs.
    pub(super) stop: CancellationToken,
}

/// The place that a job has in its process, as long as this lives.
pub(super) enum Place {
    Shared { _shared: Shared },
    Alone { _alone: Alone },
}

/// The job cannot run here now: it is put back in line, after this long.
pub(super) struct RetryLater(pub(super) Duration);

/// How long a suspect keeps its process from other work, per delivery so far: the jobs that run there may take long, and
/// another process may be idle.
const WAIT_PER_DELIVERY: Duration = Duration::from_secs(10);
const MAX_WAIT: Duration = Duration::from_secs(600);

impl Isolation {
    /// Gives the job a place. A suspect waits until nothing runs beside it; then the broker records that it runs alone, so that
    /// it is blamed for what happens, and no other job.
    pub(super) async fn place(
        &self,
        id: &str,
        number: u64,
        failed_deliveries: &FailedDeliveries,
        lost: &CancellationToken,
    ) -> Result<Place, RetryLater> {
        if !failed_deliveries.is_suspect(self.max_deliveries) {
            let shared = self.occupancy.share();
            return shared.map(|shared| Place::Shared { _shared: shared }).ok_or(RetryLater(Duration::ZERO));
        }
        // Another suspect is here already: any other process may take this one.
        let Some(alone) = self.occupancy.isolate() else { return Err(RetryLater(Duration::ZERO)) };
        let wait = WAIT_PER_DELIVERY.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)).min(MAX_WAIT);
        let is_alone = tokio::select! {
            is_alone = alone.wait(wait) => is_alone,
            () = self.stop.cancelled() => return Err(RetryLater(Duration::ZERO)),
            () = lost.cancelled() => return Err(RetryLater(Duration::ZERO)),
        };
        if !is_alone {
            info!(job = id, ?wait, "the job must run alone and other jobs still run: retrying later");
            return Err(RetryLater(wait));
        }
        match self.queue.alone(id, number).await {
            Ok(true) => {
                info!(job = id, delivery = number, ?failed_deliveries, "workers were lost with the job: it runs alone");
                Ok(Place::Alone { _alone: alone })
            }
            Ok(false) => Err(RetryLater(Duration::ZERO)),
            Err(error) => {
                debug!(job = id, %error, "recording in the broker that the job runs alone failed");
                Err(RetryLater(Duration::from_secs(1)))
            }
        }
    }
}
