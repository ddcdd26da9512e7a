//! Jobs that were leased for a remote worker and are given back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tracing::debug;

use super::super::{Inner, RemoteDelivery, RemoteWorker, keeper::Line};
use crate::broker::{Lease, LeaseRelease, ReleaseReason};

impl Inner {
    /// What nobody waits for any more.
    pub(super) async fn give_back(self: &Arc<Self>, worker: &RemoteWorker, deliveries: Vec<RemoteDelivery>) {
        let mut queues: HashMap<String, Vec<LeaseRelease>> = HashMap::new();
        self.sessions.with(worker, |session| {
            for job in &deliveries {
                session.held.remove(&job.ticket.id);
            }
        });
        for job in deliveries {
            let (id, number) = (job.ticket.id.to_string(), job.ticket.number());
            let release = LeaseRelease { id, number, delay: Duration::ZERO, reason: ReleaseReason::Wait };
            queues.entry(job.queue).or_default().push(release);
        }
        for (queue, releases) in queues {
            self.release(&self.line(&queue), releases.into_iter()).await;
        }
    }

    pub(in super::super) async fn release(&self, line: &Line, releases: impl Iterator<Item = LeaseRelease>) {
        let releases: Vec<LeaseRelease> = releases.collect();
        if releases.is_empty() {
            return;
        }
        let released = line.answers.release(self.lease, self.queue.config().max_deliveries, &releases).await;
        if let Err(error) = released {
            debug!(%error, queue = line.name, "jobs that are given back come when their leases run out");
        }
    }
}

pub(super) fn release(lease: &Lease, delay: Duration, reason: ReleaseReason) -> LeaseRelease {
    LeaseRelease { id: lease.id.clone(), number: lease.number, delay, reason }
}
