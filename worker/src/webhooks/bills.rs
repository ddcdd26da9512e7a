//! `bill.created`, of a run that may have made a million: slice after slice, and no faster than they are delivered, so that
//! what waits for an endpoint waits as numbers in the ledger.

use std::time::Duration;

use gristmill::Data;
use gristmill_billing::bills;
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError, Options};
use gristmill_webhooks::{Event, EventType, jobs::AnnounceBills};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Env;

/// Bills a slice.
const BATCH_SIZE: i64 = 500;
/// With so many deliveries before it, a client gets no more of them for now.
const PENDING: i64 = 10_000;
const FULL: Duration = Duration::from_secs(1);

/// Has the bills of a run told of, in the transaction that closes it.
pub(crate) async fn of_run(
    env: &Env,
    conn: &mut PgConnection,
    client_id: ClientId,
    run_id: Uuid,
) -> Result<Enqueued, JobError> {
    if !gristmill_webhooks::wanted(&mut *conn, client_id, EventType::BillCreated).await? {
        return Ok(Enqueued::default());
    }
    let ranges: Vec<(i64, i64)> =
        sqlx::query_as("select from_number, to_number from billing_numbers where run_id = $1 order by from_number")
            .bind(run_id)
            .fetch_all(&mut *conn)
            .await?;
    let jobs: Vec<AnnounceBills> = ranges
        .into_iter()
        .map(|(from_number, to_number)| AnnounceBills { client_id, from_number, to_number })
        .collect();
    Ok(env.queue.enqueue_all(conn, &jobs, &of(client_id)).await?)
}

/// Tells of the first bills of the range, and leaves the others to a job like this one.
pub(super) async fn announce(job: AnnounceBills, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    if gristmill_webhooks::pending(&env.pool, job.client_id, PENDING).await? >= PENDING {
        return Err(JobError::Snooze(FULL));
    }
    let today = settings::find(&env.pool, job.client_id).await?.date_of(jiff::Timestamp::now())?;
    let last = job.to_number.min(job.from_number + BATCH_SIZE - 1);
    let bills = bills::numbered(&env.pool, job.client_id, job.from_number, last, None, today).await?;
    let events: Vec<Event> = bills.iter().map(|bill| Event::BillCreated(bill.into())).collect();
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let mut jobs = gristmill_webhooks::publish_all(&mut tx, &env.queue, job.client_id, &events, &[]).await?;
    if last < job.to_number {
        let rest = AnnounceBills { from_number: last + 1, ..job };
        jobs.merge(env.queue.enqueue(&mut tx, &rest, &of(job.client_id)).await?);
    }
    if let Completion::Done(more) = env.queue.complete(&mut tx, &context.claim).await? {
        tx.commit().await?;
        jobs.merge(more);
        env.queue.push(jobs).await;
    }
    Ok(())
}

fn of(client_id: ClientId) -> Options {
    Options { client_id: Some(client_id), ..Options::default() }
}
