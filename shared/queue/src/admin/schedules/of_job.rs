//! Which tick enqueued a job.

use std::collections::HashMap;

use super::{Schedules, TickView};
use crate::{Cause, JobId, ScheduleError};

impl Schedules {
    /// The schedule and the tick that enqueued this job, if one did.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn tick_of(&self, job: JobId) -> Result<Option<(String, TickView)>, ScheduleError> {
        Ok(self.ticks_of(&[job]).await?.remove(&job))
    }

    /// The same of many jobs. One that no tick enqueued is left out.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn ticks_of(&self, jobs: &[JobId]) -> Result<HashMap<JobId, (String, TickView)>, sqlx::Error> {
        let found: Vec<(JobId, String, jiff_sqlx::Timestamp, Cause, jiff_sqlx::Timestamp)> =
            sqlx::query_as(self.queue.schema().sql(
                "select job_id, schedule, fire_at, cause, created_at from gristmill.schedule_ticks
                 where job_id = any($1)",
            ))
            .bind(jobs)
            .fetch_all(self.queue.pool())
            .await?;
        let tick = |(job, schedule, fire_at, cause, created_at): (JobId, String, jiff_sqlx::Timestamp, Cause, _)| {
            let created_at: jiff_sqlx::Timestamp = created_at;
            let (fire_at, created_at) = (fire_at.to_jiff(), created_at.to_jiff());
            (job, (schedule, TickView { fire_at, cause, job_id: Some(job), job_state: None, created_at }))
        };
        Ok(found.into_iter().map(tick).collect())
    }
}
