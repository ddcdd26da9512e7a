//! The schedule's tick.

use gristmill::Data;
use gristmill_billing::{jobs::BillingTick, runs};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use super::plan::LEFT_TO_A_REQUEST;
use crate::Env;

/// Makes a run for each client that may have something to bill.
pub(super) async fn tick(job: BillingTick, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let now: jiff_sqlx::Timestamp = sqlx::query_scalar("select now()").fetch_one(&mut *tx).await?;
    // Clients with an upload that nobody has looked at, or with debts that become due; not those with a run under way.
    let clients: Vec<ClientId> = sqlx::query_scalar(
        "select distinct client_id from uploads u
         where state = 'completed' and kind = 'debts' and (billed_through is null or next_due is not null)
           and not exists (select from billing_runs r where r.client_id = u.client_id and r.finished_at is null and not r.dry_run)
         order by client_id",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut jobs = Enqueued::default();
    for client_id in clients {
        if !is_due(&mut tx, client_id, now.to_jiff(), job.settle_seconds).await? {
            continue;
        }
        let cause = runs::Cause::Schedule;
        let (run, plan) = runs::create(&mut tx, &env.queue, client_id, cause, false, job.settle_seconds).await?;
        tracing::info!(client_id = client_id.get(), run_id = %run.id, "a billing run begins");
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

/// Whether something was to be billed on the client's latest day to bill: that day's tick may have been missed, or its run
/// have failed. What came, or becomes due, after that day waits for the next one.
async fn is_due(
    conn: &mut PgConnection,
    client_id: ClientId,
    now: Timestamp,
    settle_seconds: u32,
) -> Result<bool, JobError> {
    let settings = settings::find(&mut *conn, client_id).await?;
    if !settings.automatic {
        return Ok(false);
    }
    let day = settings.cycle.latest(settings.cycle_day, settings.date_of(now)?);
    let cutoff = day.checked_add(jiff::Span::new().days(settings.days_ahead))?;
    let sql = format!(
        "select exists (
            select from uploads u where client_id = $1 and state = 'completed' and kind = 'debts'
              and (billed_through is null and completed_at <= now() - $2 * interval '1 second' and completed_at < $3
                   or next_due <= $4)
              and not {LEFT_TO_A_REQUEST})"
    );
    let due = sqlx::query_scalar(&sql)
        .bind(client_id)
        .bind(f64::from(settle_seconds))
        .bind(settings.end_of(day)?.to_sqlx())
        .bind(cutoff.to_sqlx())
        .fetch_one(conn)
        .await?;
    Ok(due)
}
