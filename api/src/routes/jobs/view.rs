//! What is shown of jobs and groups: as the queue has them, with the names of their clients.

use std::collections::HashMap;

use gristmill_core::ClientId;
use gristmill_platform::keys;
use gristmill_queue::{AttemptLogs, AttemptView, GroupView, JobCount, JobDetail, JobTick, JobView, StepView};
use jiff::Timestamp;
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
    /// What it was given. Where payloads are encrypted: `{"$encrypted": {"key": "2026-11", "data": "…"}}`, here and in `result`, in what
    /// steps came to, and in the cursor.
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
    /// Jobs with this key run one at a time, in their order.
    order_key: Option<String>,
    /// The version of the binary that could not read it.
    parked_by: Option<String>,
    /// How long one attempt may take, in milliseconds; null: as its worker has it.
    timeout_ms: Option<u64>,
    /// It is cancelled when it has not started by then.
    expires_at: Option<Timestamp>,
    /// How long it waits between attempts: `type` (`fixed` or `exponential`), `delay_ms`, `limit_ms`; null: as its worker has it.
    backoff: Option<Value>,
    /// How long it is kept when it has ended, in seconds; null: as long as every job.
    retain_seconds: Option<u32>,
    /// The tick of a schedule that enqueued it.
    tick: Option<JobTick>,
    /// The signal that it waits for; `run_at` is the end of that.
    waits_for: Option<String>,
    /// How far it has come, as it said itself.
    cursor: Option<Value>,
    /// Its steps, sleeps and waits, in the order in which they were done.
    steps: Vec<StepView>,
    /// Attempts that did not succeed, the oldest first; the last hundred of them.
    attempts: Vec<AttemptView>,
    /// Its group.
    group: Option<Group>,
}

/// What the attempts of a job have said.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobLogs {
    /// Attempts that have said anything, the oldest first.
    pub(super) items: Vec<AttemptLogs>,
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
            order_key: detail.order_key,
            parked_by: detail.parked_by,
            timeout_ms: detail.timeout_ms,
            expires_at: detail.expires_at,
            backoff: detail.backoff,
            retain_seconds: detail.retain_seconds,
            tick: detail.tick,
            waits_for: detail.waits_for,
            cursor: detail.cursor,
            steps: detail.steps,
            attempts: detail.attempts,
            group: detail.group.map(|group| self.group(group)),
        }
    }
}
