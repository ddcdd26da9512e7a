use gristmill::Data;
use gristmill_queue::{Context, JobError};
use gristmill_webhooks::{DeliveryOutcome, jobs::Deliver};

use crate::Env;

/// Delivers one event to one endpoint. A delivery that has failed for good has not failed as a job: its own row says so,
/// and from there it is replayed.
pub(super) async fn deliver(job: Deliver, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    match env.deliverer.deliver(&context.claim, job.delivery_id, context.attempt).await {
        DeliveryOutcome::Ended => Ok(()),
        DeliveryOutcome::Later(wait) => Err(JobError::Snooze(wait)),
        DeliveryOutcome::Failed(wait, error) => Err(JobError::RetryAfter(wait, error.into())),
    }
}
