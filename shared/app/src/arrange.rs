//! Limits and schedules are made as the application says, when it starts.

use std::time::Duration;

use gristmill_queue::{JobLimits, Limits, NewSchedule, Queue, ScheduleError, through_outage};

use crate::{App, Error};

impl App {
    /// Makes them so. Waits for a Postgres that is away for at most `patience`.
    pub(crate) async fn arrange(&mut self, queue: &Queue, patience: Duration) -> Result<(), Error> {
        let schedules = std::mem::take(&mut self.schedules).into_iter().collect::<Result<Vec<_>, _>>()?;
        through_outage(patience, |_| async {
            self.limit_queues(queue).await?;
            self.limit_jobs(queue).await?;
            self.unschedule(queue).await?;
            schedule(queue, &schedules).await
        })
        .await
    }

    async fn limit_queues(&self, queue: &Queue) -> Result<(), Error> {
        for (name, options) in &self.queues {
            if options.limits == Limits::default() && !options.fixed {
                continue;
            }
            let queues = queue.queues();
            let set = match options.fixed {
                true => queues.set_limits(name, &options.limits).await.map(drop),
                false => queues.default_limits(name, &options.limits).await,
            };
            set.map_err(|source| Error::Limits { queue: name.clone(), source })?;
        }
        Ok(())
    }

    async fn limit_jobs(&self, queue: &Queue) -> Result<(), Error> {
        let limits = queue.limits();
        for (pool, slots) in &self.pools {
            limits.default_pool(pool, *slots).await.map_err(|source| Error::Pool { pool: pool.clone(), source })?;
        }
        for job in &self.jobs {
            if job.limits == JobLimits::default() && !job.fixed_limits {
                continue;
            }
            let set = match job.fixed_limits {
                true => limits.set_job(job.name, &job.limits).await,
                false => limits.default_job(job.name, &job.limits).await,
            };
            set.map_err(|source| Error::JobLimits { job: job.name, source })?;
        }
        Ok(())
    }

    async fn unschedule(&self, queue: &Queue) -> Result<(), Error> {
        for name in &self.removed_schedules {
            match queue.schedules().delete(name).await {
                Ok(()) | Err(ScheduleError::NotFound(_)) => {}
                Err(source) => return Err(Error::Schedule { name: name.clone(), source }),
            }
        }
        Ok(())
    }
}

async fn schedule(queue: &Queue, schedules: &[NewSchedule]) -> Result<(), Error> {
    for schedule in schedules {
        match queue.schedules().put(schedule).await {
            Ok(_) => {}
            // It has had its time, and was pruned since.
            Err(ScheduleError::Over(name)) => {
                tracing::info!(schedule = name, "no tick of this schedule is to come")
            }
            Err(source) => return Err(Error::Schedule { name: schedule.name.clone(), source }),
        }
    }
    Ok(())
}
