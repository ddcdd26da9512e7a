//! Jobs and groups that belong to an upload or to a billing run: nobody ends them behind its back, as it would wait for them
//! for ever, or keep what should be removed. What is ended is the owner.

use std::fmt;

use gristmill_billing::{
    jobs::{BillShard, CloseRun, FailRun, PlanRun},
    runs,
};
use gristmill_claims::jobs::{PayUpload, VoidUpload};
use gristmill_queue::{GroupId, Job, JobAction, JobDetail, JobFilter};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    jobs::{CloseUpload, DropObjects, FailUpload, LoadChunk, LoadPart, PurgeUpload},
    read,
};

/// Their payloads name an upload.
const JOBS_OF_AN_UPLOAD: [&str; 8] = [
    LoadChunk::NAME,
    LoadPart::NAME,
    CloseUpload::NAME,
    FailUpload::NAME,
    PurgeUpload::NAME,
    DropObjects::NAME,
    PayUpload::NAME,
    VoidUpload::NAME,
];
/// Their payloads name a run.
const JOBS_OF_A_RUN: [&str; 4] = [PlanRun::NAME, BillShard::NAME, CloseRun::NAME, FailRun::NAME];

/// Whose a job or a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This upload's.
    Upload(Uuid),
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
        let id = |field: &str| job.payload[field].as_str()?.parse().ok();
        let name = job.job.name.as_str();
        if JOBS_OF_AN_UPLOAD.contains(&name) {
            return id("upload_id").map(Self::Upload);
        }
        if JOBS_OF_A_RUN.contains(&name) { id("run_id").map(Self::BillingRun) } else { None }
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

    /// Its id.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Upload(id) | Self::BillingRun(id) => id,
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
pub fn ends(action: JobAction) -> bool {
    match action {
        JobAction::Cancel | JobAction::Discard => true,
        JobAction::Redrive { .. } => false,
    }
}

/// The filter without the jobs that an owner still needs, if the action would end them.
#[must_use]
pub fn spared(action: JobAction, mut filter: JobFilter) -> JobFilter {
    if ends(action) {
        filter.excluded_names.extend(JOBS_OF_AN_UPLOAD.iter().chain(&JOBS_OF_A_RUN).map(|name| (*name).to_owned()));
    }
    filter
}
