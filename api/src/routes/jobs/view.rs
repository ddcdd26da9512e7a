//! What is shown of jobs and groups: as the queue has them, with the names of their clients.

use std::collections::HashMap;

use gristmill_core::ClientId;
use gristmill_platform::keys;
use gristmill_queue::{AttemptView, GroupView, JobCount, JobDetail, JobView};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use utoipa::ToSchema;

/// A job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Job {
    #[serde(flatten)]
    job: JobView,
    /// The name of the client that it is on behalf of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme")]
    client: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    pub(super) items: Vec<Job>,
    /// Pass it as `cursor` for the next page; null on the last one. Where few jobs of many meet the filter, a page may have
    /// fewer items than asked for, or none, and not be the last.
    pub(super) next_cursor: Option<String>,
    /// How many there are on all pages, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<JobCount>,
}

/// Everything about a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneJob {
    #[serde(flatten)]
    job: Job,
    /// What it was given.
    payload: Value,
    /// What it came to.
    result: Option<Value>,
    /// The worker that ended it.
    worker: Option<String>,
    /// The last error, whole.
    last_error: Option<String>,
    /// The W3C trace that it is part of.
    trace_parent: Option<String>,
    /// The key that kept others out while it waited.
    unique_key: Option<String>,
    /// Whose turn it takes.
    fair_key: Option<String>,
    /// The version of the binary that could not read it.
    parked_by: Option<String>,
    /// Attempts that did not succeed, the oldest first; the last hundred of them.
    attempts: Vec<AttemptView>,
    /// Its group.
    group: Option<Group>,
}

/// A group of jobs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Group {
    #[serde(flatten)]
    group: GroupView,
    /// The name of the client that it is on behalf of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme")]
    client: Option<String>,
}

/// The names of clients, for what is shown.
pub(crate) struct Names(HashMap<ClientId, String>);

impl Names {
    pub(crate) async fn of(
        db: impl PgExecutor<'_>,
        clients: impl Iterator<Item = Option<ClientId>>,
    ) -> sqlx::Result<Self> {
        let mut ids: Vec<ClientId> = clients.flatten().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        Ok(Self(keys::client_names(db, &ids).await?.into_iter().collect()))
    }

    fn name(&self, id: Option<ClientId>) -> Option<String> {
        self.0.get(&id?).cloned()
    }

    pub(crate) fn job(&self, job: JobView) -> Job {
        Job { client: self.name(job.client_id), job }
    }

    pub(crate) fn group(&self, group: GroupView) -> Group {
        Group { client: self.name(group.client_id), group }
    }

    pub(super) fn detail(&self, detail: JobDetail) -> OneJob {
        OneJob {
            job: self.job(detail.job),
            payload: detail.payload,
            result: detail.result,
            worker: detail.worker,
            last_error: detail.last_error,
            trace_parent: detail.trace_parent,
            unique_key: detail.unique_key,
            fair_key: detail.fair_key,
            parked_by: detail.parked_by,
            attempts: detail.attempts,
            group: detail.group.map(|group| self.group(group)),
        }
    }
}
