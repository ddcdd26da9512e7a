//! Sends the heartbeat of one queue of a worker, and takes orders to drain from the answer.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::{WorkerState, held_leases::HeldLeases, procfs};
use crate::broker::{Broker, BrokerError, HEARTBEAT_INTERVAL, Heartbeat, MAX_NAMED_JOBS, WorkerQueueView};

pub(super) struct HeartbeatSender {
    registry: Broker,
    worker_state: WorkerState,
    held: Arc<HeldLeases>,
    queue: String,
    concurrency: usize,
    label: String,
    version: String,
    host: Option<String>,
    /// Cancelled when the worker claims no more jobs; a drain cancels it.
    stop: CancellationToken,
    /// The id of this queue in the worker's entry of the registry.
    entry: Uuid,
    sent: Option<Instant>,
    sent_draining: bool,
}

impl HeartbeatSender {
    pub(super) fn new(
        registry: Broker,
        settings: &super::Settings,
        held: Arc<HeldLeases>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            registry,
            worker_state: settings.worker_state.clone(),
            held,
            queue: settings.queue.clone(),
            concurrency: settings.concurrency,
            label: settings.label.clone(),
            version: settings.version.clone(),
            host: procfs::host(),
            stop,
            entry: Uuid::new_v4(),
            sent: None,
            sent_draining: false,
        }
    }

    /// Sends a heartbeat when one is due. That the worker takes no more jobs is sent at once: an operator may wait for it.
    pub(super) async fn send_when_due(&mut self, lease_age: Duration) -> Result<(), BrokerError> {
        let draining = self.is_draining();
        if self.sent.is_some_and(|sent| sent.elapsed() < HEARTBEAT_INTERVAL) && draining == self.sent_draining {
            return Ok(());
        }
        (self.sent, self.sent_draining) = (Some(Instant::now()), draining);
        self.send(lease_age).await
    }

    /// Stops claiming when the worker is to drain.
    pub(super) fn obey_drain(&self) {
        if self.worker_state.drain().is_cancelled() {
            self.stop.cancel();
        }
    }

    /// Removes this queue from the registry, and the worker with its last queue.
    pub(super) async fn deregister(&self) -> Result<(), BrokerError> {
        self.registry.deregister(self.worker_state.id(), self.entry).await
    }

    /// Whether the worker takes no more jobs, because it drains or stops. It finishes those that it has.
    fn is_draining(&self) -> bool {
        self.stop.is_cancelled() || self.worker_state.drain().is_cancelled()
    }

    async fn send(&self, lease_age: Duration) -> Result<(), BrokerError> {
        let (worker, entry) = (self.worker_state.id(), self.entry);
        let (memory_bytes, cpu) = self.worker_state.usage();
        let heartbeat = Heartbeat {
            label: self.label.clone(),
            version: self.version.clone(),
            pid: std::process::id(),
            host: self.host.clone(),
            language: None,
            draining: self.is_draining(),
            unhealthy_reason: self.worker_state.unhealthy_reason(),
            memory_bytes,
            cpu,
            payload_keys: self.worker_state.payload_keys(),
        };
        let (held, running) = self.held.running(MAX_NAMED_JOBS);
        let view = WorkerQueueView::new(&self.queue, self.concurrency, lease_age, held, running);
        let mut reply = self.registry.heartbeat(worker, &heartbeat, (entry, &view), None).await?;
        if !reply.has_known_jobs {
            // The first heartbeat, or the first one after the broker has lost its data.
            let known_jobs = self.worker_state.known_jobs();
            reply = self.registry.heartbeat(worker, &heartbeat, (entry, &view), Some(&known_jobs)).await?;
            self.worker_state.set_registered();
        }
        if reply.drain && !self.worker_state.drain().is_cancelled() {
            info!(%worker, "draining: the worker takes no more jobs");
            self.worker_state.drain().cancel();
            return Box::pin(self.send(lease_age)).await;
        }
        Ok(())
    }
}
