//! Checks whether this worker still has the lease of a delivery.

use std::{sync::Arc, time::Duration};

use tracing::debug;

use super::held_leases::HeldLeases;
use crate::{JobId, broker::BrokerQueue};

/// Checks the leases of one queue. Every task carries it in its data.
pub(crate) struct LeaseCheck {
    pub(super) queue: BrokerQueue,
    pub(super) held: Arc<HeldLeases>,
    pub(super) lease: Duration,
}

/// The longest wait for the broker's answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

impl LeaseCheck {
    /// Whether this worker has the job, and no other worker has it or gets it. `None` means that the broker does not answer
    /// and the lease may have run out.
    pub(crate) async fn is_ours(&self, id: JobId, number: u64) -> Option<bool> {
        let held = [(id.to_string(), number)];
        match tokio::time::timeout(CHECK_TIMEOUT, self.queue.renew(self.lease, &held)).await {
            Ok(Ok(lost)) => return Some(lost.is_empty()),
            Ok(Err(error)) => debug!(job = %id, %error, "checking a lease in the broker failed"),
            Err(_) => debug!(job = %id, "checking a lease in the broker timed out"),
        }
        (self.held.renewed_ago() < self.lease).then_some(true)
    }
}
