//! Jobs that were leased for a remote worker and are given back.

use std::{collections::HashMap, time::Duration};

use tracing::debug;

use super::super::{Inner, RemoteDelivery, RemoteWorker, keeper::Line};
use crate::broker::{Lease, LeaseRelease, ReleaseReason};

impl Inner {
    pub(super) async fn give_back(&self, worker: &RemoteWorker, deliveries: Vec<RemoteDelivery>) {
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
        let links = self.queue.links();
        for (queue, releases) in queues {
            let released =
                links.answers().queue(&queue).release(self.lease, self.queue.config().max_deliveries, &releases).await;
            if let Err(error) = released {
                debug!(%error, queue, "jobs that nobody waits for any more come back when their leases run out");
            }
        }
    }

    pub(in super::super) async fn release(&self, line: &Line, releases: impl Iterator<Item = LeaseRelease>) {
        let releases: Vec<LeaseRelease> = releases.collect();
        if releases.is_empty() {
            return;
        }
        let released = line.answers.release(self.lease, self.queue.config().max_deliveries, &releases).await;
        if let Err(error) = released {
            debug!(%error, queue = line.name, "jobs for others come back when their leases run out");
        }
    }
}

pub(super) fn release(lease: &Lease, delay: Duration, reason: ReleaseReason) -> LeaseRelease {
    LeaseRelease { id: lease.id.clone(), number: lease.number, delay, reason }
}
