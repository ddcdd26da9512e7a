use std::time::Duration;

use gristmill::Data;
use gristmill_queue::{Completion, Context, Fence, JobError};
use gristmill_webhooks::{
    deliveries::{self, Which},
    jobs::ReplayDeliveries,
};

use crate::Env;

/// Deliveries a slice.
const BATCH_SIZE: i64 = 500;
/// With so many deliveries before it, a client gets no more of them for now.
const PENDING: i64 = 10_000;
const FULL: Duration = Duration::from_secs(1);

/// Sends the oldest of them again, and leaves the others to a job like this one.
pub(super) async fn replay(job: ReplayDeliveries, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    if gristmill_webhooks::pending(&env.pool, job.client_id, PENDING).await? >= PENDING {
        return Err(JobError::Snooze(FULL));
    }
    let which = Which { state: job.state, since: job.since, until: job.until, after: job.after };
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let (mut jobs, last) =
        deliveries::replay_some(&mut tx, &env.queue, job.client_id, job.endpoint_id, &which, BATCH_SIZE).await?;
    if let Some(after) = last {
        jobs.merge(deliveries::replay_all(&mut tx, &env.queue, &ReplayDeliveries { after, ..job }).await?);
    }
    if let Completion::Done(more) = env.queue.complete(&mut tx, &context.claim).await? {
        tx.commit().await?;
        jobs.merge(more);
        env.queue.push(jobs).await;
    }
    Ok(())
}
