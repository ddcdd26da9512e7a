//! The schedule's tick.

use gristmill_billing::{jobs::BillingTick, runs, settings};
use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError};
use jiff_sqlx::{Timestamp, ToSqlx as _};

use crate::Env;

/// Makes a run for each client whose cycle is due and that may have something to bill.
pub(super) async fn tick(env: Env, context: Context, job: BillingTick) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let now: Timestamp = sqlx::query_scalar("select now()").fetch_one(&mut *tx).await?;
    // Clients with an upload that nobody has looked at, or with debts that become due; not those with a run under way.
    let clients: Vec<(i32, bool, Option<jiff_sqlx::Date>)> = sqlx::query_as(
        "select client_id, bool_or(billed_through is null and completed_at <= now() - $1 * interval '1 second'), min(next_due)
         from uploads u
         where state = 'completed' and kind = 'debts' and (billed_through is null or next_due is not null)
           and not exists (select from billing_runs r where r.client_id = u.client_id and r.finished_at is null)
         group by client_id order by client_id",
    )
    .bind(f64::from(job.settle_seconds))
    .fetch_all(&mut *tx)
    .await?;
    let mut jobs = Enqueued::default();
    for (client_id, unseen, next_due) in clients {
        let settings = settings::find(&mut *tx, client_id).await?;
        let today = settings.date_of(now.to_jiff())?;
        let cutoff = today.checked_add(jiff::Span::new().days(settings.days_ahead))?.to_sqlx();
        let something = unseen || next_due.is_some_and(|due| due.to_jiff() <= cutoff.to_jiff());
        if !something || !settings.automatic || !settings.cycle.is_due(settings.cycle_day, today) {
            continue;
        }
        let cause = runs::Cause::Schedule;
        let (run, plan) = runs::create(&mut tx, &env.queue, client_id, cause, false, job.settle_seconds).await?;
        tracing::info!(client_id, run_id = %run.id, "a billing run begins");
        jobs.merge(plan);
    }
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::Done(more) => jobs.merge(more),
        Completion::AlreadyDone => return Ok(()),
    }
    tx.commit().await?;
    env.queue.push(jobs).await;
    Ok(())
}
