//! Jobs and groups that belong to an upload or to a billing run: nobody ends them behind its back, as it would wait for them
//! for ever, or keep what should be removed. What is ended is the owner.

use std::{fmt, str::FromStr};

use gristmill_billing::{jobs as billing, runs};
use gristmill_queue::{GroupId, JobAction, JobDetail, JobFilter};
use gristmill_uploads::{KindHooks, UploadId, jobs as uploads, read};
use sqlx::PgPool;
use uuid::Uuid;

use crate::all_hooks;

/// The names of the jobs whose payloads name an upload: those of every upload, and those of each kind.
pub fn of_uploads() -> impl Iterator<Item = &'static str> {
    let of_kinds = all_hooks().flat_map(KindHooks::owned_jobs);
    uploads::OF_AN_UPLOAD.iter().chain(of_kinds).copied()
}

/// The names of the jobs whose payloads name a billing run.
pub fn of_runs() -> impl Iterator<Item = &'static str> {
    billing::OF_A_RUN.into_iter()
}

/// Whose a job or a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This upload's.
    Upload(UploadId),
    /// This billing run's.
    BillingRun(Uuid),
}

impl Owner {
    /// Who still needs this job, so that it is not ended alone. (What failed may be given up once its group has ended.)
    #[must_use]
    pub fn of_job(job: &JobDetail) -> Option<Self> {
        if job.group.as_ref().is_some_and(|group| group.finished_at.is_some()) {
            return None;
        }
        let name = job.job.name.as_str();
        if of_uploads().any(|of| of == name) {
            return named(job, "upload_id").map(Self::Upload);
        }
        if of_runs().any(|of| of == name) { named(job, "run_id").map(Self::BillingRun) } else { None }
    }

    /// Whose group this is.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn of_group(pool: &PgPool, group: GroupId) -> Result<Option<Self>, sqlx::Error> {
        if let Some(upload) = read::of_group(pool, group).await? {
            return Ok(Some(Self::Upload(upload)));
        }
        Ok(runs::of_group(pool, group).await?.map(Self::BillingRun))
    }

    /// The upload's id, if it is one.
    #[must_use]
    pub fn upload(self) -> Option<UploadId> {
        match self {
            Self::Upload(id) => Some(id),
            Self::BillingRun(_) => None,
        }
    }

    /// The request that ends it.
    #[must_use]
    pub fn end(self) -> String {
        match self {
            Self::Upload(id) => format!("DELETE /v1/uploads/{id}"),
            Self::BillingRun(id) => format!("DELETE /v1/billing-runs/{id}"),
        }
    }
}

/// The id that a job's payload has in a field.
fn named<Id: FromStr>(job: &JobDetail, field: &str) -> Option<Id> {
    job.payload[field].as_str()?.parse().ok()
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload(id) => write!(f, "upload {id}"),
            Self::BillingRun(id) => write!(f, "billing run {id}"),
        }
    }
}

/// Whether the action ends jobs.
#[must_use]
pub fn is_terminating(action: JobAction) -> bool {
    match action {
        JobAction::Cancel | JobAction::Discard => true,
        JobAction::Redrive { .. } => false,
    }
}

/// The filter without the jobs that an owner still needs, if the action would end them.
#[must_use]
pub fn exclude_owned(action: JobAction, mut filter: JobFilter) -> JobFilter {
    if is_terminating(action) {
        filter.excluded_names.extend(of_uploads().chain(of_runs()).map(str::to_owned));
    }
    filter
}
