//! Dead jobs brought back by the clock: a job that a schedule can enqueue.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::info;

use crate::{Context, Job, JobAction, JobError, JobFilter, WorkerBuilder};

/// Runs jobs again that have ended badly. Meant to be the job of a schedule; workers that were built with
/// [`WorkerBuilder::with_builtin_jobs`] run it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveJobs {
    /// Which ones; dead and parked ones unless it names states.
    #[serde(default)]
    pub filter: JobFilter,
    /// At most so many start a second; none: all at once.
    #[serde(default)]
    pub per_second: Option<f64>,
    /// A job that was brought back so often is left alone; none: it never is. Five unless given.
    #[serde(default = "five")]
    pub max_rounds: Option<u32>,
}

fn five() -> Option<u32> {
    Some(5)
}

impl Job for RedriveJobs {
    const NAME: &'static str = "gristmill.redrive";
    const QUEUE: &'static str = "gristmill";
    const MAX_ATTEMPTS: u16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(900);
}

impl WorkerBuilder {
    /// Takes the queue `gristmill`, with the jobs that the library brings along: [`RedriveJobs`].
    #[must_use]
    pub fn with_builtin_jobs(self) -> Self {
        self.queue(RedriveJobs::QUEUE, 1).register::<RedriveJobs>(redrive)
    }
}

/// Each slice commits by itself; what has been brought back is not dead any more, so a second run goes on.
async fn redrive(context: Context, job: RedriveJobs) -> Result<(), JobError> {
    if job.per_second.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(JobError::discard("`per_second` is not more than 0"));
    }
    let rounds = match (job.filter.redriven_less_than, job.max_rounds) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let filter = JobFilter { redriven_less_than: rounds, ..job.filter };
    let action = JobAction::Redrive { per_second: job.per_second };
    let (mut jobs, mut place) = (0, None);
    loop {
        if context.cancel.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        let acted = context.queue.jobs().act(action, &filter, place, Duration::from_secs(1)).await?;
        jobs += acted.changed;
        place = acted.next;
        if place.is_none() {
            info!(jobs, "brought back by a schedule");
            return Ok(());
        }
    }
}
