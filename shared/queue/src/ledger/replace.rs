//! A job makes room for others.

use gristmill_core::ClientId;
use sqlx::{FromRow, PgConnection};

use crate::{
    Claim, Enqueued, GroupId, Job, Options, QueueError, Schema,
    codec::Intake,
    ledger::{complete, enqueue},
};

/// What the new jobs take over from the old one.
#[derive(FromRow)]
struct Inheritance {
    group_id: Option<GroupId>,
    client_id: Option<ClientId>,
    fair_key: Option<String>,
    trace_parent: Option<String>,
}

/// Completes the job and enqueues the others in its group, which stays open as the job is one of its members.
/// `None`: it was not to be done any more.
pub(crate) async fn replace<J: Job>(
    schema: Schema,
    conn: &mut PgConnection,
    claim: &Claim,
    jobs: &[J],
    intake: Intake<'_>,
) -> Result<Option<Enqueued>, QueueError> {
    let inherited: Option<Inheritance> = sqlx::query_as(schema.sql("select group_id, client_id, fair_key, trace_parent from gristmill.jobs where id = $1 and state = 'available' for update"))
    .bind(claim.id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(Inheritance { group_id: group, client_id, fair_key, trace_parent }) = inherited else { return Ok(None) };
    let trace_parents = vec![trace_parent; jobs.len()];
    let options = Options { group, client_id, fair_key, trace_parents, ..Options::default() };
    let finished = claim.finished();
    if finished.nested {
        complete::lock_roots(schema, conn, &[claim.id]).await?;
    }
    let mut enqueued = enqueue::insert_into_sealed(schema, conn, jobs, &options, intake).await?;
    let (done, joins) = complete::complete(schema, conn, claim.worker(), &[finished]).await?;
    enqueued.merge(joins);
    Ok((!done.is_empty()).then_some(enqueued))
}
