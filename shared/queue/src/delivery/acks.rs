//! Acknowledgements go to the broker in batches, and are retried over any number of reconnects.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    DeadLetter, DeadLetterReason, DeadLetterSink, Release, held_leases::HeldLeases, worker_state::QueueVitals,
};
use crate::broker::{BrokerError, BrokerQueue, LeaseRelease, LostDelivery, ReleaseReason};

/// Acknowledgements that go to the broker together.
const BATCH_SIZE: usize = 500;
/// The longest wait before a batch is sent again.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(2);
/// First and longest wait before a dead letter, or a lost delivery, is stored again.
const STORE_RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How one lease ends.
#[derive(Debug)]
pub(super) struct AckReply {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) outcome: AckOutcome,
}

#[derive(Debug)]
pub(super) enum AckOutcome {
    Done,
    /// The job is back in line after this long; its service did not fail.
    Requeue(Duration),
    /// The job is back in line after this long; its service failed.
    Failed(Duration),
    /// The job is at the end of its line after this long; other workers can read it.
    Unreadable(Duration),
    /// The job is not delivered again, for this reason.
    DeadLetter(String),
}

pub(super) enum AckMessage {
    Reply(AckReply),
    /// Is answered when everything before it has reached the broker.
    Flush(oneshot::Sender<()>),
}

/// Sends the acknowledgements of one queue.
pub(super) struct AckSender {
    pub(super) queue: BrokerQueue,
    pub(super) lease: Duration,
    pub(super) max_deliveries: u32,
    pub(super) vitals: Arc<QueueVitals>,
    pub(super) held: Arc<HeldLeases>,
    pub(super) dead_letters: Arc<dyn DeadLetterSink>,
}

impl AckSender {
    /// Runs until the worker is gone; tasks that still hold the sending end may outlive it.
    pub(super) async fn run(self, mut messages: mpsc::UnboundedReceiver<AckMessage>, end: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = messages.recv_many(&mut batch, BATCH_SIZE) => if received == 0 { return },
                () = end.cancelled() => return,
            }
            // Runs that end by one commit acknowledge one after another: together they are one round trip.
            tokio::task::yield_now().await;
            while batch.len() < BATCH_SIZE
                && let Ok(message) = messages.try_recv()
            {
                batch.push(message);
            }
            let (mut done, mut releases, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
            for message in batch.drain(..) {
                let AckReply { id, number, outcome } = match message {
                    AckMessage::Flush(reply) => {
                        flushes.push(reply);
                        continue;
                    }
                    AckMessage::Reply(reply) => reply,
                };
                let (delay, reason) = match outcome {
                    AckOutcome::Done => {
                        done.push((id, number));
                        continue;
                    }
                    AckOutcome::DeadLetter(error) => {
                        self.store_aborted(id, number, error);
                        continue;
                    }
                    AckOutcome::Requeue(delay) => (delay, ReleaseReason::Wait),
                    AckOutcome::Failed(delay) => (delay, ReleaseReason::Failure),
                    AckOutcome::Unreadable(delay) => (delay, ReleaseReason::Unreadable),
                };
                releases.push(LeaseRelease { id, number, delay, reason });
            }
            if !self.send_until_taken(&done, &releases, &end).await {
                return;
            }
            if !done.is_empty() || !releases.is_empty() {
                self.vitals.record_progress();
            }
            let acked = done.iter().map(|(id, number)| (id, *number));
            self.held.forget(acked.chain(releases.iter().map(|release| (&release.id, release.number))));
            for reply in flushes {
                let _ = reply.send(());
            }
        }
    }

    /// Sends a batch until the broker has taken it. Returns false when the worker is gone before that.
    async fn send_until_taken(
        &self,
        done: &[(String, u64)],
        releases: &[LeaseRelease],
        end: &CancellationToken,
    ) -> bool {
        let mut delay = Duration::from_millis(20);
        while let Err(error) = self.send(done, releases).await {
            if delay > Duration::from_secs(1) {
                warn!(%error, waiting = done.len() + releases.len(), "sending acknowledgements to the broker failed; retrying");
            } else {
                debug!(%error, "sending acknowledgements to the broker failed; retrying");
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = end.cancelled() => return false,
            }
            delay = (delay * 2).min(MAX_RETRY_DELAY);
        }
        true
    }

    async fn send(&self, done: &[(String, u64)], releases: &[LeaseRelease]) -> Result<(), BrokerError> {
        self.queue.ack(done).await?;
        self.queue.release(self.lease, self.max_deliveries, releases).await
    }

    fn store_aborted(&self, id: String, number: u64, error: String) {
        let queue = self.queue.clone();
        let (held, dead_letters) = (Arc::clone(&self.held), Arc::clone(&self.dead_letters));
        tokio::spawn(async move {
            let payload = payload(&queue, &id).await;
            let job = DeadLetter { id, payload, reason: DeadLetterReason::Aborted(error) };
            store_dead_letter(held, dead_letters, job, number).await;
        });
    }
}

/// Reads a payload, and retries until the broker answers. It keeps the payload of a job as long as that is leased.
async fn payload(queue: &BrokerQueue, id: &str) -> Vec<u8> {
    let (mut delay, longest) = STORE_RETRY_DELAYS;
    loop {
        match queue.payload(id).await {
            Ok(payload) => return payload,
            Err(error) => debug!(job = id, %error, "reading the payload of a dead letter failed; retrying"),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(longest);
    }
}

/// Retries until the sink has stored the job; only then the job is acknowledged. When the sink leaves it to other workers,
/// they may have it as soon as this worker's lease of the dead letter has run out.
pub(super) async fn store_dead_letter(
    held: Arc<HeldLeases>,
    dead_letters: Arc<dyn DeadLetterSink>,
    job: DeadLetter,
    number: u64,
) {
    warn!(job = %job.id, reason = ?job.reason, "the job is a dead letter: it is not delivered again");
    let (mut delay, longest) = STORE_RETRY_DELAYS;
    while let Err(error) = dead_letters.store(job.clone()).await {
        if let Some(Release::Unreadable(_)) = error.downcast_ref() {
            return;
        }
        warn!(job = %job.id, %error, "storing a dead letter failed; retrying");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(longest);
    }
    held.send(AckMessage::Reply(AckReply { id: job.id, number, outcome: AckOutcome::Done }));
}

/// Retries until the sink has recorded these deliveries.
pub(super) async fn record_lost(dead_letters: Arc<dyn DeadLetterSink>, lost: Vec<LostDelivery>) {
    if lost.is_empty() {
        return;
    }
    let (mut delay, longest) = STORE_RETRY_DELAYS;
    while let Err(error) = dead_letters.record_lost(lost.clone()).await {
        debug!(%error, "recording lost deliveries failed; retrying");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(longest);
    }
}
