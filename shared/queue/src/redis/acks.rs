//! Answers go back in batches, over any number of reconnects.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Broker, DeadLetter, DeadLetterSink, HandBack, LostDelivery, DeadLetterReason,
    broker::{Back, Why},
    fetch::Claims,
    link::Link,
    process::Vitals,
};

/// How a lease ends.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) verdict: Verdict,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Done,
    /// Back in line after this long; nobody has failed.
    Back(Duration),
    /// Back in line after this long; its service failed.
    Failed(Duration),
    /// At the end of its line after this long: others can read it.
    Leave(Duration),
    DeadLetter(String),
}

pub(super) enum Note {
    Answer(Answer),
    /// Everything before this has reached Redis.
    Flush(oneshot::Sender<()>),
}

/// Tells Redis how leases end.
pub(super) struct Answers {
    pub(super) broker: Broker,
    pub(super) link: Link,
    pub(super) lease: Duration,
    pub(super) max_deliveries: u32,
    pub(super) vitals: Arc<Vitals>,
    pub(super) claims: Arc<Claims>,
    pub(super) dead_letters: Arc<dyn DeadLetterSink>,
}

impl Answers {
    /// Runs until the worker is gone; the tasks that hold senders may live longer than it.
    pub(super) async fn send(self, mut notes: mpsc::UnboundedReceiver<Note>, end: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = notes.recv_many(&mut batch, 500) => if received == 0 { return },
                () = end.cancelled() => return,
            }
            let (mut done, mut back, mut dead_letters, mut flushes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for note in batch.drain(..) {
                match note {
                    Note::Flush(reply) => flushes.push(reply),
                    Note::Answer(Answer { id, number, verdict }) => match verdict {
                        Verdict::Done => done.push((id, number)),
                        Verdict::Back(delay) => back.push(Back { id, number, delay, why: Why::Wait }),
                        Verdict::Failed(delay) => back.push(Back { id, number, delay, why: Why::Failure }),
                        Verdict::Leave(delay) => back.push(Back { id, number, delay, why: Why::Unreadable }),
                        Verdict::DeadLetter(error) => dead_letters.push((id, number, error)),
                    },
                }
            }
            for (id, number, error) in dead_letters {
                let (broker, link) = (self.broker.clone(), self.link.clone());
                let (claims, dead_letters) = (Arc::clone(&self.claims), Arc::clone(&self.dead_letters));
                tokio::spawn(async move {
                    let payload = payload(&broker, &link, &id).await;
                    store_dead_letter(claims, dead_letters, DeadLetter { id, payload, reason: DeadLetterReason::Aborted(error) }, number).await;
                });
            }
            let mut pause = Duration::from_millis(20);
            while let Err(error) = self.deliver(&done, &back).await {
                if pause > Duration::from_secs(1) {
                    warn!(%error, waiting = done.len() + back.len(), "the broker does not take our answers; trying on");
                } else {
                    debug!(%error, "the broker does not take our answers; trying again");
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = end.cancelled() => return,
                }
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            if !done.is_empty() || !back.is_empty() {
                self.vitals.progress();
            }
            let answered = done.iter().map(|(id, number)| (id, *number));
            self.claims.forget(answered.chain(back.iter().map(|back| (&back.id, back.number))));
            for reply in flushes {
                let _ = reply.send(());
            }
        }
    }

    async fn deliver(&self, done: &[(String, u64)], back: &[Back]) -> ::redis::RedisResult<()> {
        self.broker.ack(&mut self.link.conn(), done).await?;
        self.broker.release(&mut self.link.conn(), self.lease, self.max_deliveries, back).await
    }
}

/// Asks until Redis says it. It keeps the payload of a job as long as that is leased.
async fn payload(broker: &Broker, link: &Link, id: &str) -> Vec<u8> {
    let mut pause = Duration::from_millis(100);
    loop {
        match broker.payload(&mut link.conn(), id).await {
            Ok(payload) => return payload,
            Err(error) => debug!(job = id, %error, "the broker does not say what is to be put away; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// Asks until the dead_letters takes the job; only then is it acknowledged. One that it leaves to others is anybody's when
/// the lease of its dead letter has run out.
pub(super) async fn store_dead_letter(claims: Arc<Claims>, dead_letters: Arc<dyn DeadLetterSink>, job: DeadLetter, number: u64) {
    warn!(job = %job.id, reason = ?job.reason, "a job is given up");
    let mut pause = Duration::from_millis(100);
    while let Err(error) = dead_letters.store(job.clone()).await {
        if let Some(HandBack::Unreadable(_)) = error.downcast_ref() {
            return;
        }
        warn!(job = %job.id, %error, "it cannot be put away; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
    claims.note(Note::Answer(Answer { id: job.id, number, verdict: Verdict::Done }));
}

/// Asks until the dead_letters has heard of these.
pub(super) async fn record_lost(dead_letters: Arc<dyn DeadLetterSink>, lost: Vec<LostDelivery>) {
    if lost.is_empty() {
        return;
    }
    let mut pause = Duration::from_millis(100);
    while let Err(error) = dead_letters.record_lost(lost.clone()).await {
        debug!(%error, "lost deliveries cannot be written down; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}
