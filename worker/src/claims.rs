//! Payments of claims, one at a time; and what an upload's close or undoing leaves to be done for its claims, slice by slice.

use std::time::Duration;

use gristmill::{App, Data};
use gristmill_claims::{
    accounting::{self, PaymentOutcome},
    enter,
    jobs::{PayUpload, ProcessPayment, VoidUpload},
    void,
};
use gristmill_queue::{Completion, Context, Enqueued, Fence, Job as _, JobError};
use sqlx::{Postgres, Transaction};

use crate::Env;

/// With so many payments ready in Redis, the next slice of an upload's waits: what waits there must stay small.
const READY: u64 = 10_000;
const FULL: Duration = Duration::from_secs(1);

/// The bodies of claims.
pub(crate) fn register(app: App) -> App {
    app.job(process).job(pay_upload).job(void_upload)
}

async fn process(job: ProcessPayment, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let Some(mut tx) = begin(&env, &context).await? else { return Ok(()) };
    match accounting::pay(&mut tx, job.claim_id).await? {
        PaymentOutcome::Posted => {
            commit(&env, &context, tx, Enqueued::default()).await?;
            metrics::counter!("gristmill_payments_total").increment(1);
            Ok(())
        }
        PaymentOutcome::Nothing => commit(&env, &context, tx, Enqueued::default()).await,
        PaymentOutcome::Frozen { plan, reason } => {
            tx.rollback().await?;
            let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let detail = format!("the account of the plan {plan} is frozen{why}");
            accounting::put_off(&env.pool, job.claim_id, &detail).await?;
            Err(JobError::retry(detail))
        }
    }
}

async fn pay_upload(job: PayUpload, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    if env.queue.broker_depth(ProcessPayment::QUEUE).await?.0 >= READY {
        return Err(JobError::Snooze(FULL));
    }
    let Some(mut tx) = begin(&env, &context).await? else { return Ok(()) };
    let jobs = enter::pay_next(&mut tx, &env.queue, &job).await?;
    commit(&env, &context, tx, jobs).await
}

async fn void_upload(job: VoidUpload, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let Some(mut tx) = begin(&env, &context).await? else { return Ok(()) };
    let jobs = void::next(&mut tx, &env.queue, &job).await?;
    commit(&env, &context, tx, jobs).await
}

/// A transaction that holds the job's row; `None`: the job is done.
async fn begin(env: &Env, context: &Context) -> Result<Option<Transaction<'static, Postgres>>, JobError> {
    let mut tx = env.pool.begin().await?;
    let fence = env.queue.lock(&mut tx, &context.claim).await?;
    Ok((fence == Fence::Held).then_some(tx))
}

async fn commit(
    env: &Env,
    context: &Context,
    mut tx: Transaction<'static, Postgres>,
    mut jobs: Enqueued,
) -> Result<(), JobError> {
    if let Completion::Done(more) = env.queue.complete(&mut tx, &context.claim).await? {
        jobs.merge(more);
        tx.commit().await?;
        env.queue.push(jobs).await;
    }
    Ok(())
}
