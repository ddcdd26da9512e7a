//! The join of a run: the bills are indexed. Did the shards see every debt? Then the uploads' watermarks move, and the run has its totals.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gristmill::Data;
use gristmill_billing::{
    jobs::{CloseRun, FailRun},
    payments,
    runs::State,
};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{Env, mail, webhooks};

/// Closes a run; see the module.
pub(super) async fn close(job: CloseRun, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    attach(&env.pool, job.run_id).await?;
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let running = sqlx::query("select from billing_runs where id = $1 and state = 'running' for update")
        .bind(job.run_id)
        .fetch_optional(&mut *tx)
        .await?;
    if running.is_none() {
        return Err(JobError::Cancelled);
    }
    let mut jobs = if unseen(&mut tx, job.run_id).await? == 0 {
        finish(&env, &mut tx, job.run_id).await?
    } else {
        let detail = "some debts of its uploads are not in the table where they should be";
        tracing::error!(run_id = %job.run_id, detail, "a billing run does not add up");
        metrics::counter!("gristmill_invariant_violations_total", "invariant" => "billing").increment(1);
        end(&mut tx, job.run_id, State::Failed, Some(detail)).await?;
        tell(&env, &mut tx, job.run_id).await?
    };
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::Done(more) => jobs.merge(more),
        Completion::AlreadyDone => return Ok(()),
    }
    tx.commit().await?;
    env.queue.push(jobs).await;
    Ok(())
}

/// Tables that are indexed at a time, a connection each.
const AT_A_TIME: usize = 4;

/// Makes what the run has filled part of the bills, and waits for the payments that may have looked for their bill before.
async fn attach(pool: &PgPool, run_id: Uuid) -> Result<(), JobError> {
    let segments: Vec<i32> =
        sqlx::query_scalar("select distinct unnest(segments) from billing_run_uploads where run_id = $1")
            .bind(run_id)
            .fetch_all(pool)
            .await?;
    attach_all(pool, segments).await?;
    let client_id: ClientId =
        sqlx::query_scalar("select client_id from billing_runs where id = $1").bind(run_id).fetch_one(pool).await?;
    payments::wait_for_recorded(pool, client_id).await?;
    Ok(())
}

/// The same, before a run is planned, of the client's cancelled runs: what follows a cancel may not have come as far.
pub(super) async fn attach_cancelled(pool: &PgPool, run_id: Uuid) -> Result<(), sqlx::Error> {
    let segments: Vec<i32> = sqlx::query_scalar(
        "select distinct unnest(b.segments)
         from billing_runs r join billing_runs o on o.client_id = r.client_id and o.state = 'cancelled' and o.mails is null
              join billing_run_uploads b on b.run_id = o.id
         where r.id = $1 and not o.dry_run",
    )
    .bind(run_id)
    .fetch_all(pool)
    .await?;
    attach_all(pool, segments).await
}

/// Each by itself, so that none waits for the others' indexes.
async fn attach_all(pool: &PgPool, segments: Vec<i32>) -> Result<(), sqlx::Error> {
    stream::iter(segments)
        .map(|segment| sqlx::query("select attach_bills_segment($1)").bind(segment).execute(pool))
        .buffer_unordered(AT_A_TIME)
        .try_for_each(|_| async { Ok(()) })
        .await
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
    end(conn, run_id, State::Completed, None).await?;
    tell(env, conn, run_id).await
}

/// The join of a group with a dead shard, or what follows a cancel or the end of a job that the run waits for.
pub(super) async fn fail(job: FailRun, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    attach(&env.pool, job.run_id).await?;
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let shard = "a shard could not be billed after all its attempts: see the dead jobs of the queue billing";
    end(&mut tx, job.run_id, State::Failed, Some(job.detail.as_deref().unwrap_or(shard))).await?;
    let mut jobs = tell(&env, &mut tx, job.run_id).await?;
    if let Completion::Done(join) = env.queue.complete(&mut tx, &context.claim).await? {
        tx.commit().await?;
        jobs.merge(join);
        env.queue.push(jobs).await;
    }
    Ok(())
}

/// Ends a run, unless it has ended, with the totals of its shards.
async fn end(conn: &mut PgConnection, run_id: Uuid, state: State, detail: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update billing_runs r set state = $2, detail = $3, finished_at = clock_timestamp(), bills = s.bills, amount_minor = s.amount,
                unpayable = s.unpayable
         from (select coalesce(sum(bills), 0)::bigint as bills, coalesce(sum(amount_minor), 0) as amount,
                      coalesce(sum(unpayable), 0)::bigint as unpayable
               from billing_shards where run_id = $1) s
         where r.id = $1 and r.state in ('queued', 'running')",
    )
    .bind(run_id)
    .bind(state)
    .bind(detail)
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the payers and the client told of an ended run's bills, once: however it ended, they are to be paid.
async fn tell(env: &Env, conn: &mut PgConnection, run_id: Uuid) -> Result<Enqueued, JobError> {
    let run: Option<(ClientId, i64, i64)> = sqlx::query_as(
        "select client_id, bills, coalesce(unpayable, 0) from billing_runs where id = $1 and finished_at is not null and mails is null for update",
    )
    .bind(run_id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((client_id, bills, unpayable)) = run else { return Ok(Enqueued::default()) };
    tracing::info!(%run_id, client_id = client_id.get(), bills, "billed");
    if unpayable > 0 {
        tracing::warn!(%run_id, client_id = client_id.get(), unpayable, "nothing can carry some bills: they are not mailed");
    }
    let mut jobs = paid_meanwhile(env, conn, client_id, run_id).await?;
    jobs.merge(mail::of_run(env, conn, client_id, run_id).await?);
    jobs.merge(webhooks::of_run(env, conn, client_id, run_id).await?);
    Ok(jobs)
}

/// The bills whose debts were paid while they were being made: what a payment of a bill is followed by.
async fn paid_meanwhile(
    env: &Env,
    conn: &mut PgConnection,
    client_id: ClientId,
    run_id: Uuid,
) -> Result<Enqueued, JobError> {
    // The client comes as data: of one that the planner's statistics do not know yet it expects one bill and one payment, and
    // would compare all of them with each other.
    let credited: Vec<(i64, bool)> = sqlx::query_as(
        "with paid as materialized (select debt_id, client_id, paid_minor from debt_payments where client_id = $2)
         update bills b set paid_minor = p.paid_minor, state = case when p.paid_minor >= b.amount_minor then 'paid' else b.state end
         from paid p
         where b.debt_id = p.debt_id and b.client_id = p.client_id and b.run_id = $1 and b.paid_minor <> p.paid_minor
           and b.state <> 'cancelled'
         returning b.number, b.state = 'paid'",
    )
    .bind(run_id)
    .bind(client_id)
    .fetch_all(&mut *conn)
    .await?;
    let settled: Vec<i64> = credited.into_iter().filter(|(_, paid)| *paid).map(|(number, _)| number).collect();
    if settled.is_empty() {
        return Ok(Enqueued::default());
    }
    let today = settings::find(&mut *conn, client_id).await?.date_of(jiff::Timestamp::now())?;
    Ok(gristmill_webhooks::bills_paid(conn, &env.queue, client_id, &settled, today).await?)
}
