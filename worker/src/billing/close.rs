//! The join of a run: did the shards see every debt? Then the uploads' watermarks move, and the run has its totals.

use gristmill_billing::jobs::{CloseRun, FailRun};
use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError};
use sqlx::PgConnection;
use uuid::Uuid;

use super::plan;
use crate::{Env, mail, webhooks};

/// Closes a run; see the module.
pub(super) async fn close(env: Env, context: Context, job: CloseRun) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let client_id: Option<i32> =
        sqlx::query_scalar("select client_id from billing_runs where id = $1 and state = 'running' for update")
            .bind(job.run_id)
            .fetch_optional(&mut *tx)
            .await?;
    let client_id = client_id.ok_or(JobError::Cancelled)?;
    let mut jobs = if unseen(&mut tx, job.run_id).await? == 0 {
        finish(&env, &mut tx, job.run_id).await?
    } else if job.everywhere {
        let detail = "some debts of its uploads are not in the table where they should be";
        sqlx::query("update billing_runs set state = 'failed', detail = $2, finished_at = now() where id = $1")
            .bind(job.run_id)
            .bind(detail)
            .execute(&mut *tx)
            .await?;
        tracing::error!(run_id = %job.run_id, detail, "a billing run does not add up");
        metrics::counter!("gristmill_invariant_violations_total", "invariant" => "billing").increment(1);
        Enqueued::default()
    } else {
        // Some rows filled gaps that a purge had left: they are before the blocks that were looked at.
        rest(&env, &mut tx, client_id, job.run_id).await?
    };
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::Done(more) => jobs.merge(more),
        Completion::AlreadyDone => return Ok(()),
    }
    tx.commit().await?;
    env.queue.push(jobs).await;
    Ok(())
}

/// Debts of the run's uploads that no shard has seen.
async fn unseen(conn: &mut PgConnection, run_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select (coalesce(sum(rows), 0) - (select coalesce(sum(seen), 0) from billing_shards where run_id = $1))::bigint
         from billing_run_uploads where run_id = $1",
    )
    .bind(run_id)
    .fetch_one(conn)
    .await
}

async fn rest(env: &Env, conn: &mut PgConnection, client_id: i32, run_id: Uuid) -> Result<Enqueued, JobError> {
    let first: i64 = sqlx::query_scalar(
        "select min(u.first_block) from uploads u join billing_run_uploads r on r.upload_id = u.id where r.run_id = $1",
    )
    .bind(run_id)
    .fetch_one(&mut *conn)
    .await?;
    let (group, jobs) = plan::shards(env, conn, client_id, run_id, (0, first), true).await?;
    sqlx::query("update billing_runs set group_id = $2 where id = $1").bind(run_id).bind(group).execute(conn).await?;
    Ok(jobs)
}

async fn finish(env: &Env, conn: &mut PgConnection, run_id: Uuid) -> Result<Enqueued, JobError> {
    sqlx::query(
        "update uploads u set billed_through = r.cutoff,
                next_due = (select min(next_due) from billing_shards s where s.run_id = r.id and s.upload_id = u.id),
                billed_by = case when u.billed_through is null
                                  and not exists (select from billing_shards s where s.run_id = r.id and s.upload_id = u.id and s.bills > 0)
                            then null else u.billed_by end
         from billing_runs r join billing_run_uploads b on b.run_id = r.id
         where r.id = $1 and u.id = b.upload_id",
    )
    .bind(run_id)
    .execute(&mut *conn)
    .await?;
    // What was paid while its bill was being made.
    sqlx::query(
        "update bills b set paid_minor = p.paid_minor, state = case when p.paid_minor >= b.amount_minor then 'paid' else b.state end
         from debt_payments p, billing_runs r
         where r.id = $1 and b.run_id = r.id and p.client_id = r.client_id and b.client_id = r.client_id
           and b.debt_id = p.debt_id and b.paid_minor <> p.paid_minor",
    )
    .bind(run_id)
    .execute(&mut *conn)
    .await?;
    let (client_id, bills): (i32, i64) = sqlx::query_as(
        "update billing_runs r set state = 'completed', finished_at = clock_timestamp(), bills = s.bills, amount_minor = s.amount
         from (select coalesce(sum(bills), 0)::bigint as bills, coalesce(sum(amount_minor), 0) as amount
               from billing_shards where run_id = $1) s
         where r.id = $1 returning r.client_id, r.bills",
    )
    .bind(run_id)
    .fetch_one(&mut *conn)
    .await?;
    tracing::info!(%run_id, client_id, bills, "billed");
    let mut jobs = mail::of_run(env, conn, client_id, run_id).await?;
    jobs.merge(webhooks::of_run(env, conn, client_id, run_id).await?);
    Ok(jobs)
}

/// The join of a group with a dead shard.
pub(super) async fn fail(env: Env, context: Context, job: FailRun) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    sqlx::query(
        "update billing_runs set state = 'failed', finished_at = now(),
                detail = 'a shard could not be billed after all its attempts: see the dead jobs of the queue billing',
                bills = (select coalesce(sum(bills), 0) from billing_shards where run_id = $1),
                amount_minor = (select coalesce(sum(amount_minor), 0) from billing_shards where run_id = $1)
         where id = $1 and state = 'running'",
    )
    .bind(job.run_id)
    .execute(&mut *tx)
    .await?;
    if let Completion::Done(join) = env.queue.complete(&mut tx, &context.claim).await? {
        tx.commit().await?;
        env.queue.push(join).await;
    }
    Ok(())
}
