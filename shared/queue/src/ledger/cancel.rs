//! Cancelling single jobs.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{
    group_completion::{self, Counts},
    millis,
};
use crate::{Enqueued, GroupId, JobId, QueueError, Schema};

/// A job that may be running.
pub(crate) type CancelRequest = (JobId, String);

/// Cancels those that wait for their time or for a decision, and writes down the wish for the others.
/// Needs a transaction. Returns how many are cancelled, those that may run (with their queue), and joins that became due.
pub(crate) async fn request(
    schema: Schema,
    conn: &mut PgConnection,
    ids: &[JobId],
) -> Result<(u64, Vec<CancelRequest>, Enqueued), QueueError> {
    let rows: Vec<(JobId, String, String, Option<GroupId>)> = sqlx::query_as(schema.sql("with held as (
            select id from gristmill.jobs where id = any($1) and state in ('available', 'scheduled', 'parked') order by id for update
         )
         update gristmill.jobs j set
            cancel_requested_at = coalesce(j.cancel_requested_at, now()),
            state = case j.state when 'available' then 'available' else 'cancelled' end,
            finished_at = case when j.state <> 'available' then now() end,
            parked_by = null
         from held where j.id = held.id returning j.id, j.queue, j.state, j.group_id"))
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    let (mut cancelled, mut requested, mut counts) = (0, Vec::new(), Counts::default());
    for (id, queue, state, group) in rows {
        if state == "available" {
            requested.push((id, queue));
            continue;
        }
        cancelled += 1;
        if let Some(group) = group {
            counts.add(group, &state, 1);
        }
    }
    Ok((cancelled, requested, group_completion::count(schema, conn, counts).await?))
}

/// Jobs that were to be cancelled `age` ago and are still there: who runs them will see it, who does not must be asked.
pub(crate) async fn overdue(
    schema: Schema,
    pool: &PgPool,
    age: Duration,
    limit: i64,
) -> Result<Vec<CancelRequest>, sqlx::Error> {
    sqlx::query_as(schema.sql("select id, queue from gristmill.jobs
         where state = 'available' and cancel_requested_at < now() - $1 * interval '1 millisecond' order by id limit $2"))
    .bind(millis(age))
    .bind(limit)
    .fetch_all(pool)
    .await
}
