//! The end of a job that took its workers down.

use std::sync::Arc;

use apalis_core::error::BoxDynError;
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    attempt::{self, End},
    known::{REQUEUE_DELAY, Wanted},
};
use crate::{
    Claim, Context, JobId, Queue,
    broker::LostDelivery,
    delivery::Release,
    envelope::Envelope,
    ledger::{
        fail::{self, Outcome, Run, Verdict},
        fence::{JobStatus, Runnable},
    },
};

/// A job that the broker gives up after so many lost workers.
pub(super) struct Lost<'a> {
    pub(super) queue: &'a str,
    pub(super) id: JobId,
    pub(super) deliveries: u64,
    pub(super) message: &'a [u8],
}

impl Runner {
    /// The job's own handler says what comes of it; where there is none, or it does not finish the job, the job is dead.
    /// An error leaves it as it is: it is asked again.
    pub(super) async fn lost(&self, lost: Lost<'_>) -> Result<(), BoxDynError> {
        let Lost { queue, id, deliveries, message } = lost;
        let unheard = Run { delivery: deliveries, ..Run::default() };
        let dead = Verdict::lost(deliveries);
        let envelope: Option<Envelope<'_>> = serde_json::from_slice(message).ok();
        // Who knows the job may have a handler; it is asked when this worker's lease of the dead letter has run out.
        if let Some(envelope) = &envelope
            && self.body(envelope).is_err()
            && self.may_be_read(queue, &Wanted::of(envelope)).await?
        {
            return Err(Release::Unreadable(REQUEUE_DELAY).into());
        }
        let handled = envelope.and_then(|envelope| Some((self.lost.get(&*envelope.name)?, envelope)));
        let Some((handler, envelope)) = handled else {
            return Ok(self.settle(id, Some(unheard), queue, "", dead).await.map(drop)?);
        };
        let runnable = match self.within_grace(self.fence.submit(id)).await? {
            JobStatus::Runnable(runnable) => runnable,
            JobStatus::Cancelled => {
                return Ok(self.settle(id, None, queue, &handler.name, Verdict::CANCELLED).await.map(drop)?);
            }
            JobStatus::Finished => return Ok(()),
        };
        let Runnable { attempt, max_attempts, .. } = runnable;
        let claim = Claim::of_run(id, deliveries + 1, Arc::clone(&self.worker), Some(&runnable))
            .enqueued_as(&envelope.name, &handler.name);
        let context = Context {
            claim: claim.clone(),
            name: Arc::clone(&handler.name),
            attempt: attempt.unsigned_abs() + 1,
            max_attempts: max_attempts.unsigned_abs(),
            cancel: CancellationToken::new(),
            queue: self.queue.clone(),
            client_id: envelope.client_id,
            trace_parent: envelope.trace_parent.clone(),
        };
        let verdict = match self.attempt(handler, context, queue, &envelope, runnable).await {
            End::Done | End::Failed(_) if claim.is_fenced_off() => return Ok(()),
            End::Done if claim.is_completed() => {
                attempt::count(queue, &handler.name, Outcome::LostWorker.into());
                return Ok(());
            }
            End::Done | End::Undecodable(_) => dead,
            End::Failed(verdict) if matches!(verdict.outcome, Outcome::Discarded | Outcome::Cancelled) => verdict,
            End::Failed(verdict) => return Err(verdict.error.unwrap_or_else(|| "not now".to_owned()).into()),
            End::OutOfGrace => return Err(Release::Now.into()),
        };
        Ok(self.settle(id, Some(unheard), queue, &handler.name, verdict).await.map(drop)?)
    }
}

/// A line of its job's history for each of these.
pub(crate) async fn remember_lost(queue: &Queue, deliveries: &[LostDelivery]) -> Result<(), sqlx::Error> {
    // (Other ids than ours are not in the ledger.)
    let known = deliveries.iter().filter_map(|lost| Some((lost.id.parse::<JobId>().ok()?, lost)));
    let (ids, lost): (Vec<JobId>, Vec<&LostDelivery>) = known.unzip();
    let numbers: Vec<i64> = lost.iter().map(|lost| lost.number.cast_signed()).collect();
    let errors: Vec<&str> = lost.iter().map(|lost| if lost.alone { ALONE } else { BESIDE }).collect();
    fail::lost(queue.schema(), queue.pool(), &ids, &numbers, &errors).await
}

const ALONE: &str = "its worker was lost while it ran alone";
const BESIDE: &str = "its worker was lost; others may have run beside it";
