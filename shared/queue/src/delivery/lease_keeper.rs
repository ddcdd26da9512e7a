//! Renews leases, sends heartbeats and reaps expired leases of one queue, on the thread that all queues share for that: work
//! that hogs the other threads must not cost a worker its leases.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::{heartbeat::HeartbeatSender, reaper::Reaper, renewer::Renewer};
use crate::broker::{BrokerError, LeaseThread};

/// How long a worker that stops waits for the broker to remove it from the registry.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct LeaseKeeper {
    pub(super) renewer: Renewer,
    pub(super) heartbeat: HeartbeatSender,
    pub(super) reaper: Reaper,
    pub(super) thread: Arc<LeaseThread>,
    pub(super) end: CancellationToken,
    /// Dropped when the broker has removed the queue from the registry.
    pub(super) _deregistered: DropGuard,
}

impl LeaseKeeper {
    /// Starts on the thread, and runs until `end`.
    pub(super) fn start(self) {
        self.thread.handle.clone().spawn(self.run());
    }

    async fn run(mut self) {
        let renewal = self.renewer.interval();
        let (mut renewed, mut succeeded) = (Instant::now(), Instant::now());
        let mut reap_at = Instant::now() + self.reaper.pause();
        loop {
            tokio::select! {
                () = self.end.cancelled() => break,
                () = tokio::time::sleep_until(reap_at.min(renewed + renewal)) => {}
            }
            if renewed.elapsed() >= renewal {
                // Before the call: a slow one must not put off the next.
                renewed = Instant::now();
                if log_failure(self.renewer.renew().await).is_some() {
                    succeeded = renewed;
                    self.renewer.held.set_renewed(renewed.into_std());
                }
            }
            if Instant::now() >= reap_at {
                reap_at = Instant::now() + self.reaper.pause();
                log_failure(self.reaper.reap().await);
            }
            log_failure(self.heartbeat.send_when_due(succeeded.elapsed()).await);
            self.heartbeat.obey_drain();
        }
        // With the broker away, the entry expires by itself.
        let _ = tokio::time::timeout(DEREGISTER_TIMEOUT, self.heartbeat.deregister()).await;
    }
}

fn log_failure<T>(result: Result<T, BrokerError>) -> Option<T> {
    result.inspect_err(|error| debug!(%error, "the broker does not answer the lease keeper")).ok()
}
