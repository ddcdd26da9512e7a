//! Jobs: found, counted, looked at, and what is done to many of them.

mod actions;
mod bulk_action;
mod change;
mod filter;
mod outcome;
mod view;
mod walk;

pub use actions::{ActionPlace, ActionProgress, JobAction, NoActionPlace};
pub use bulk_action::BulkAction;
pub use change::{ChangeError, JobChange};
pub use filter::JobFilter;
pub use outcome::JobOutcome;
pub use view::{AttemptView, JobCount, JobDetail, JobPage, JobTick, JobView, StepView};

pub(crate) use view::{JobRow, job_columns};

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::groups;
use crate::{AttemptLogs, JobId, Queue, QueueError, Schema, ledger::logs};
use view::{AttemptRow, DetailRow, JobTickRow, StepRow};
use walk::Walk;

/// The ledger's jobs: see [`Queue::jobs`].
#[derive(Clone)]
pub struct Jobs {
    pub(super) queue: Queue,
}

const MAX_PAGE_SIZE: usize = 200;
/// After this long a page is shown as it is.
const PAGE_DEADLINE: Duration = Duration::from_millis(25);
/// Counting ends at so many, or after so long.
const MAX_COUNTED: usize = 10_000;
const COUNT_DEADLINE: Duration = Duration::from_secs(1);

impl Queue {
    /// The ledger's jobs.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs { queue: self.clone() }
    }
}

impl Jobs {
    /// Jobs that meet the filter, the newest first: those older than `cursor`, at most 200 of them. However many jobs the
    /// ledger has, a page takes milliseconds: where the filter is rare and no index helps, it may be short, or empty,
    /// and say by its `next` that there may be more.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn list(&self, filter: &JobFilter, cursor: Option<JobId>, limit: u16) -> Result<JobPage, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        page(self.queue.schema(), &mut conn, filter, cursor, limit, PAGE_DEADLINE).await
    }

    /// How many jobs meet the filter. Counting ends at 10,000, and after a second.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn count(&self, filter: &JobFilter) -> Result<JobCount, QueueError> {
        self.count_within(filter, COUNT_DEADLINE).await
    }

    /// As [`Jobs::count`], in less time.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn count_within(&self, filter: &JobFilter, time: Duration) -> Result<JobCount, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        let started = Instant::now();
        let mut walk = Walk::new(self.queue.schema(), &mut conn, filter, None).await?;
        let mut jobs = 0;
        while jobs <= MAX_COUNTED && !walk.is_over() {
            jobs += walk.step(&mut conn, MAX_COUNTED + 1 - jobs).await?.len();
            if started.elapsed() >= time {
                break;
            }
        }
        let exact = walk.is_over() && jobs <= MAX_COUNTED;
        Ok(JobCount { jobs: jobs.min(MAX_COUNTED) as u64, exact })
    }

    /// Everything about one job, if there is such a one.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn get(&self, id: JobId) -> Result<Option<JobDetail>, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        self.get_in(&mut conn, id).await
    }

    /// The same as the caller's transaction sees it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn get_in(&self, conn: &mut PgConnection, id: JobId) -> Result<Option<JobDetail>, QueueError> {
        let found: Option<DetailRow> = sqlx::query_as(self.queue.schema().sql(concat!(
            "select ",
            job_columns!(),
            ", j.payload, j.result, j.worker, j.last_error, j.trace_parent, j.unique_key, j.fair_key, j.order_key, j.parked_by,
             j.timeout_ms, j.expires_at, j.backoff, j.retain_seconds, j.waits_for, j.resumes
             from gristmill.jobs j where j.id = $1"
        )))
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
        let Some(found) = found else { return Ok(None) };
        let mut attempts: Vec<AttemptRow> = sqlx::query_as(self.queue.schema().sql(
            "select attempt, delivery, outcome, error, worker, started_at, ended_at
             from gristmill.job_attempts where job_id = $1 order by seq desc limit 100",
        ))
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
        attempts.reverse();
        let steps: Vec<StepRow> = if found.resumes() {
            sqlx::query_as(self.queue.schema().sql(
                "select kind, name, result, until, done_at from gristmill.job_steps where job_id = $1
                 order by coalesce(done_at, until), name limit 1001",
            ))
            .bind(id)
            .fetch_all(&mut *conn)
            .await?
        } else {
            Vec::new()
        };
        let group = match found.group() {
            Some(group) => groups::view(self.queue.schema(), &mut *conn, group).await?,
            None => None,
        };
        let tick: Option<JobTickRow> = sqlx::query_as(
            self.queue
                .schema()
                .sql("select schedule, fire_at, cause from gristmill.schedule_ticks where job_id = $1 limit 1"),
        )
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
        Ok(Some(found.into_detail(attempts, steps, group, tick)))
    }
}

impl Jobs {
    /// What the attempts of a job have said (see [`crate::logs`]), the oldest first; of the last hundred that have said
    /// anything. Nothing for a job that is not there.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn logs(&self, id: JobId) -> Result<Vec<AttemptLogs>, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        self.logs_in(&mut conn, id).await
    }

    /// The same as the caller's transaction sees it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn logs_in(&self, conn: &mut PgConnection, id: JobId) -> Result<Vec<AttemptLogs>, QueueError> {
        Ok(logs::of_job(self.queue.schema(), conn, id).await?)
    }
}

/// A page of the jobs that meet the filter, as long as it is by `enough`.
pub(super) async fn page(
    schema: Schema,
    conn: &mut PgConnection,
    filter: &JobFilter,
    cursor: Option<JobId>,
    limit: u16,
    enough: Duration,
) -> Result<JobPage, QueueError> {
    let limit = usize::from(limit).clamp(1, MAX_PAGE_SIZE);
    let started = Instant::now();
    let mut walk = Walk::new(schema, conn, filter, cursor).await?;
    let mut ids = Vec::new();
    // One more than are shown tells whether there is another page.
    while ids.len() <= limit && !walk.is_over() {
        ids.extend(walk.step(conn, limit + 1 - ids.len()).await?);
        // After a first look: on a busy machine a page would else be empty again and again.
        if started.elapsed() >= enough {
            break;
        }
    }
    let next = if ids.len() > limit { ids.get(limit - 1).copied() } else { walk.place() };
    ids.truncate(limit);
    Ok(JobPage { jobs: views(schema, conn, &ids).await?, next })
}

/// These jobs, the newest first, as far as they are there.
async fn views(schema: Schema, conn: &mut PgConnection, ids: &[JobId]) -> Result<Vec<JobView>, QueueError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<JobRow> = sqlx::query_as(schema.sql(concat!(
        "select ",
        job_columns!(),
        " from gristmill.jobs j where j.id = any($1) order by j.id desc"
    )))
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(JobRow::into_view).collect())
}
