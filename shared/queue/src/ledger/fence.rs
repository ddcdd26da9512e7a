//! Is it still to be done?

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, PgPool};

use crate::JobId;

/// What the ledger says about a job that is about to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobStatus {
    /// Still to be done; this many attempts have failed. Nested: its group is inside another one.
    Runnable { attempt: i32, max_attempts: i32, nested: bool },
    /// Still to be done, but nobody wants it any more: it is to be cancelled, or its group has stopped.
    Cancelled,
    /// Finished, waiting for its next attempt, or unknown.
    Finished,
}

/// Locks the rows of those jobs that are still to be done until the end of the transaction, in the order of their ids.
pub(crate) async fn lock(conn: &mut PgConnection, ids: &[JobId]) -> Result<HashSet<JobId>, sqlx::Error> {
    let held: Vec<JobId> =
        sqlx::query_scalar("select id from jobs where id = any($1) and state = 'available' order by id for update")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    Ok(held.into_iter().collect())
}

/// Asks for many at once, without locks.
pub(crate) async fn statuses(pool: &PgPool, ids: &[JobId]) -> Result<HashMap<JobId, JobStatus>, sqlx::Error> {
    let rows: Vec<(JobId, i32, i32, bool, bool)> = sqlx::query_as(
        "select j.id, j.attempt, j.max_attempts, g.root_id is not null,
                j.cancel_requested_at is not null or coalesce(g.state, 'open') <> 'open'
         from jobs j left join groups g on g.id = j.group_id
         where j.id = any($1) and j.state = 'available'",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, attempt, max_attempts, nested, stopped)| {
            (id, if stopped { JobStatus::Cancelled } else { JobStatus::Runnable { attempt, max_attempts, nested } })
        })
        .collect())
}
