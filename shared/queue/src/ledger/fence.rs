//! Is it still to be done?

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sqlx::{PgConnection, PgPool};

use crate::{Backoff, JobId, Schema};

/// What the ledger says about a job that is about to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobStatus {
    /// Still to be done.
    Runnable(Runnable),
    /// Still to be done, but nobody wants it any more: it is to be cancelled, or its group has stopped.
    Cancelled,
    /// Finished, waiting for its next attempt, or unknown.
    Finished,
}

/// A job that is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Runnable {
    /// So many attempts have failed.
    pub(crate) attempt: i32,
    /// Which time it comes to be run: it grows whenever a run ends, whether or not that was an attempt, and never begins again.
    pub(crate) round: i32,
    pub(crate) max_attempts: i32,
    /// It is in a group.
    pub(crate) grouped: bool,
    /// Its group is inside another one.
    pub(crate) nested: bool,
    /// It was to start before now.
    pub(crate) expired: bool,
    /// Runs before this one have recorded something.
    pub(crate) resumes: bool,
    /// Its name has limits: see [`super::limits`].
    pub(crate) limited: bool,
    /// What it was enqueued with, where that differs from what the worker has for its name.
    pub(crate) timeout: Option<Duration>,
    pub(crate) backoff: Option<Backoff>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: JobId,
    attempt: i32,
    round: i32,
    max_attempts: i32,
    grouped: bool,
    nested: bool,
    stopped: bool,
    expired: bool,
    resumes: bool,
    limited: bool,
    timeout_ms: Option<i32>,
    backoff: Option<String>,
}

impl Row {
    fn status(self) -> JobStatus {
        if self.stopped {
            return JobStatus::Cancelled;
        }
        JobStatus::Runnable(Runnable {
            attempt: self.attempt,
            round: self.round,
            max_attempts: self.max_attempts,
            grouped: self.grouped,
            nested: self.nested,
            // It had started.
            expired: self.expired && !self.resumes,
            resumes: self.resumes,
            limited: self.limited,
            timeout: self.timeout_ms.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs()))),
            backoff: Backoff::of_ledger(self.id, self.backoff.as_deref()),
        })
    }
}

/// Locks the rows of those jobs that are still to be done until the end of the transaction, in the order of their ids.
pub(crate) async fn lock(
    schema: Schema,
    conn: &mut PgConnection,
    ids: &[JobId],
) -> Result<HashSet<JobId>, sqlx::Error> {
    let held: Vec<JobId> = sqlx::query_scalar(
        schema.sql("select id from gristmill.jobs where id = any($1) and state = 'available' order by id for update"),
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(held.into_iter().collect())
}

/// Asks for many at once, without locks.
pub(crate) async fn statuses(
    schema: Schema,
    pool: &PgPool,
    ids: &[JobId],
) -> Result<HashMap<JobId, JobStatus>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(schema.sql(
        "select j.id, j.attempt, j.attempt + j.rounds as round, j.max_attempts, j.group_id is not null as grouped, g.root_id is not null as nested,
                j.cancel_requested_at is not null or coalesce(g.state, 'open') <> 'open' as stopped,
                coalesce(j.expires_at < now(), false) as expired, j.resumes, j.timeout_ms, j.backoff::text,
                j.name = any(array(select name from gristmill.job_limits where is_limited)) as limited
         from gristmill.jobs j left join gristmill.groups g on g.id = j.group_id
         where j.id = any($1) and j.state = 'available'",
    ))
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.status())).collect())
}
