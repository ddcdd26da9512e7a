//! Is it still to be done?

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, types::Json};

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

/// The answer of `functions/job_statuses.sql`: one row for any number of jobs. Where there is none, its lists are null.
#[derive(sqlx::FromRow)]
struct Answer {
    known: Option<Vec<JobId>>,
    attempts: Option<Vec<i32>>,
    rounds: Option<Vec<i32>>,
    max_attempts: Option<Vec<i32>>,
    flags: Option<Vec<i32>>,
    timeouts_ms: Option<Json<HashMap<JobId, u32>>>,
    backoffs: Option<Json<HashMap<JobId, Box<RawValue>>>>,
}

const GROUPED: i32 = 1;
const NESTED: i32 = 2;
const STOPPED: i32 = 4;
const EXPIRED: i32 = 8;
const RESUMES: i32 = 16;
const LIMITED: i32 = 32;

impl Answer {
    fn statuses(self) -> HashMap<JobId, JobStatus> {
        let timeouts = self.timeouts_ms.unwrap_or_default().0;
        let backoffs = self.backoffs.unwrap_or_default().0;
        let of_each = |list: Option<Vec<i32>>| list.unwrap_or_default();
        let (attempts, rounds) = (of_each(self.attempts), of_each(self.rounds));
        let numbers = attempts.into_iter().zip(rounds).zip(of_each(self.max_attempts)).zip(of_each(self.flags));
        let known = self.known.unwrap_or_default().into_iter().zip(numbers);
        known
            .map(|(id, (((attempt, round), max_attempts), flags))| {
                let has = |flag| flags & flag != 0;
                let runnable = Runnable {
                    attempt,
                    round,
                    max_attempts,
                    grouped: has(GROUPED),
                    nested: has(NESTED),
                    // One that resumes had started.
                    expired: has(EXPIRED) && !has(RESUMES),
                    resumes: has(RESUMES),
                    limited: has(LIMITED),
                    timeout: timeouts.get(&id).map(|millis| Duration::from_millis(u64::from(*millis))),
                    backoff: Backoff::of_ledger(id, backoffs.get(&id).map(|backoff| backoff.get())),
                };
                (id, if has(STOPPED) { JobStatus::Cancelled } else { JobStatus::Runnable(runnable) })
            })
            .collect()
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
    let answer: Answer =
        sqlx::query_as(schema.sql("select * from gristmill.job_statuses($1)")).bind(ids).fetch_one(pool).await?;
    Ok(answer.statuses())
}
