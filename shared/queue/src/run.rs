//! One run of a job, on one screen: see [`Runner::run`].

pub(crate) mod attempt;
pub(crate) mod known;
mod lost;
mod service;
mod settle;

pub(crate) use lost::remember_lost;
pub(crate) use service::{LedgerDeadLetters, RawCodec, Service};

use std::{collections::HashMap, sync::Arc, time::Instant};

use gristmill_core::Batcher;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    Claim, Context, JobEvent, JobEventKind, JobId, Queue,
    cancellation::CancellationWatch,
    delivery::{LeaseCheck, Release, RunningName},
    envelope::Envelope,
    ledger::complete::FinishedJob,
    ledger::fail::{Outcome, Run, Settle, SettledState, Verdict},
    ledger::fence::{JobStatus, Runnable},
    ledger::logs::NewLogs,
    observer::Observer,
    worker::RegisteredJob,
};
use attempt::End;

/// What all runs in a process share.
pub(crate) struct Runner {
    queue: Queue,
    bodies: Arc<HashMap<&'static str, RegisteredJob>>,
    /// This worker, in the history of its jobs.
    worker: Arc<str>,
    lost: Arc<HashMap<&'static str, RegisteredJob>>,
    observer: Observer,
    watch: CancellationWatch,
    others: known::Others,
    /// The grace period of a stop is over.
    give_up: CancellationToken,
    fence: Batcher<JobId, JobStatus>,
    /// Of jobs with limits only.
    admissions: Batcher<JobId, bool>,
    completions: Batcher<FinishedJob, bool>,
    verdicts: Batcher<Settle, Option<SettledState>>,
    logs: Batcher<NewLogs, ()>,
}

/// One delivery by the broker.
pub(crate) struct Delivery {
    pub(crate) queue: Arc<str>,
    pub(crate) id: JobId,
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) lost: CancellationToken,
    /// For the list of what runs.
    pub(crate) name: RunningName,
    /// None: not by a broker.
    pub(crate) lease_check: Option<Arc<LeaseCheck>>,
}

impl Runner {
    /// The life of a job: decode, fence, body (with timeout, panic guard, cancellation and span), outcome, ledger.
    /// `Ok` acknowledges the delivery: the ledger knows what comes next. `Err` gives it to another worker.
    pub(crate) async fn run(&self, delivery: Delivery) -> Result<(), Release> {
        let (id, queue) = (delivery.id, &*delivery.queue);
        let mut claim = Claim::of_run(id, delivery.number, Arc::clone(&self.worker), None);

        let envelope: Envelope<'_> = match serde_json::from_slice(&delivery.body) {
            Ok(envelope) => envelope,
            Err(error) => return self.park(&claim, queue, "", format!("the message does not decode: {error}")).await,
        };
        let body = match self.body(&envelope) {
            Ok(body) => body,
            Err(why) => return self.leave_or_park(&delivery, &claim, &envelope, why).await,
        };

        delivery.name.set(&body.name);

        let runnable = match self.within_grace(self.fence.submit(id)).await? {
            JobStatus::Runnable(runnable) if runnable.expired => {
                return self.settle(id, Some(claim.run()), queue, &body.name, Verdict::expired()).await.map(drop);
            }
            // It waits in the ledger until there is room for it.
            JobStatus::Runnable(runnable) if runnable.limited && !self.is_admitted(id).await? => return Ok(()),
            JobStatus::Runnable(runnable) => {
                claim = Claim::of_run(id, delivery.number, Arc::clone(&self.worker), Some(&runnable))
                    .enqueued_as(&envelope.name, &body.name);
                runnable
            }
            JobStatus::Cancelled => {
                return self.settle(id, None, queue, &body.name, Verdict::CANCELLED).await.map(drop);
            }
            JobStatus::Finished => {
                debug!(job = %id, delivery = delivery.number, "delivered again, but already done");
                return Ok(());
            }
        };
        let Runnable { attempt, max_attempts, .. } = runnable;
        let context = Context {
            claim: claim.clone(),
            name: Arc::clone(&body.name),
            attempt: attempt.unsigned_abs() + 1,
            max_attempts: max_attempts.unsigned_abs(),
            cancel: delivery.lost.child_token(),
            queue: self.queue.clone(),
            client_id: envelope.client_id,
            trace_parent: envelope.trace_parent.clone(),
        };
        attempt::record_wait(queue, &body.name, envelope.due);
        let event = |kind| JobEvent {
            id,
            name: Arc::clone(&body.name),
            queue: Arc::clone(&delivery.queue),
            attempt: attempt.unsigned_abs() + 1,
            max_attempts: max_attempts.unsigned_abs(),
            kind,
        };
        self.observer.tell(|| event(JobEventKind::Started));
        let started = Instant::now();

        let ended = self.attempt(body, context, queue, &envelope, runnable).await;
        let duration = started.elapsed();
        let succeeded = || event(JobEventKind::Succeeded { duration });
        match ended {
            End::Undecodable(error) => {
                self.park(&claim, queue, &body.name, error.clone()).await?;
                let (outcome, error) = (Outcome::Parked.into(), Some(error));
                self.observer.tell(|| event(JobEventKind::Failed { outcome, error, duration, last: true }));
                Ok(())
            }
            // The ledger told the body, or the watch, that the job is not this run's to end: another run's end of it stands.
            End::Done | End::Failed(_) if claim.is_fenced_off() => {
                attempt::count(queue, &body.name, "already_done");
                Ok(())
            }
            End::Done if claim.is_completed() => {
                attempt::count(queue, &body.name, "completed");
                self.observer.tell(succeeded);
                Ok(())
            }
            End::Done => {
                if self.complete(&claim, queue, &body.name).await? {
                    self.observer.tell(succeeded);
                }
                Ok(())
            }
            // Its effects are fenced off and its acknowledgement is void: another worker has the job.
            End::Failed(_) if delivery.lost.is_cancelled() => Ok(()),
            End::Failed(verdict) => match self.is_ours(&delivery).await? {
                Some(true) => {
                    let run = Run { round: Some(runnable.round), ..claim.run() };
                    let (outcome, error) = (verdict.outcome.into(), verdict.error.clone());
                    if let Some(state) = self.settle(id, Some(run), queue, &body.name, verdict).await? {
                        let last = state != SettledState::Scheduled;
                        self.observer.tell(|| event(JobEventKind::Failed { outcome, error, duration, last }));
                    }
                    Ok(())
                }
                Some(false) => Ok(()),
                // Nobody knows whose it is: the lease decides, once the broker is back.
                None => Err(Release::Now),
            },
            End::OutOfGrace => Err(Release::Now),
        }
    }

    /// A failure of somebody who no longer has the job must not use up its attempts.
    async fn is_ours(&self, delivery: &Delivery) -> Result<Option<bool>, Release> {
        match &delivery.lease_check {
            Some(lease_check) => self.within_grace(lease_check.is_ours(delivery.id, delivery.number)).await,
            None => Ok(Some(true)),
        }
    }

    /// A job that no worker of this kind can run: it waits, with the reason, for another version or for somebody who looks.
    async fn park(&self, claim: &Claim, queue: &str, name: &str, error: String) -> Result<(), Release> {
        tracing::error!(job = %claim.id, queue, error, "parked");
        self.settle(claim.id, Some(claim.run()), queue, name, Outcome::Parked.because(error)).await.map(drop)
    }

    /// Cancels running jobs that the ledger does not want any more, and passes on their progress, for ever.
    pub(crate) async fn watch(&self) {
        self.watch.run(&self.queue).await;
    }
}
