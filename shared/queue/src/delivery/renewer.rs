//! Renews the leases of one queue that this process holds.

use std::{sync::Arc, time::Duration};

use tracing::warn;

use super::held_leases::HeldLeases;
use crate::broker::{BrokerError, BrokerQueue};

pub(super) struct Renewer {
    pub(super) queue: BrokerQueue,
    pub(super) held: Arc<HeldLeases>,
    pub(super) lease: Duration,
}

impl Renewer {
    /// Between two renewals. Two of them may fail before a lease runs out.
    pub(super) fn interval(&self) -> Duration {
        self.lease / 3
    }

    /// Moves the deadlines of all leases, and cancels the jobs whose leases another worker has.
    pub(super) async fn renew(&self) -> Result<(), BrokerError> {
        let overtaken = self.held.take_overtaken();
        if !overtaken.is_empty() {
            self.queue.renew(self.lease, &overtaken).await?;
        }
        let held = self.held.list();
        if held.is_empty() {
            return Ok(());
        }
        let lost = self.queue.renew(self.lease, &held).await?;
        metrics::counter!("gristmill_lease_renewals_total").increment((held.len() - lost.len()) as u64);
        if !lost.is_empty() {
            warn!(jobs = lost.len(), "leases expired before this process renewed them: other workers have the jobs");
            metrics::counter!("gristmill_leases_lost_total").increment(lost.len() as u64);
            self.held.mark_lost(&lost);
        }
        Ok(())
    }
}
