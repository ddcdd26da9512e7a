//! What is shown of jobs.

use gristmill_core::ClientId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;

use crate::{GroupId, JobId, JobState, admin::groups::GroupView};

/// A job as the ledger has it, without what may be large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct JobView {
    /// Its id, in order of time.
    #[cfg_attr(feature = "schema", schema(value_type = uuid::Uuid))]
    pub id: JobId,
    /// What it does.
    pub name: String,
    /// Where it waits.
    pub queue: String,
    /// 0 is the most urgent, 9 the least.
    pub priority: u8,
    /// Where it stands. A running job is `available`.
    pub state: JobState,
    /// Attempts that ended without success.
    pub attempt: u32,
    /// Failed attempts until it is dead.
    pub max_attempts: u32,
    /// Not before this time.
    pub run_at: Timestamp,
    /// The group that it is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<uuid::Uuid>))]
    pub group_id: Option<GroupId>,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<i32>))]
    pub client_id: Option<ClientId>,
    /// How its last failed attempt ended; the first 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it was brought back after it had ended.
    pub redriven: u32,
    /// Somebody wants it cancelled, and its body has not stopped yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When the attempt began that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Everything about one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub job: JobView,
    /// What it was given.
    pub payload: Value,
    /// What it came to.
    pub result: Option<Value>,
    /// The worker that ended it.
    pub worker: Option<String>,
    /// The last error, whole.
    pub last_error: Option<String>,
    /// The W3C trace that it is part of.
    pub trace_parent: Option<String>,
    /// The key that kept others out while it waited.
    pub unique_key: Option<String>,
    /// Whose turn it takes.
    pub fair_key: Option<String>,
    /// The version of the binary that could not read it.
    pub parked_by: Option<String>,
    /// Attempts that did not succeed, the oldest first; the last hundred of them.
    pub attempts: Vec<AttemptView>,
    /// Its group.
    pub group: Option<GroupView>,
}

/// An attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AttemptView {
    /// Which one it was, from 1.
    pub attempt: u32,
    /// Of how many hand-overs by the broker.
    pub delivery: u64,
    /// `retried`, `timed_out`, `panicked`, `lost_worker`, `discarded`, `cancelled`, `snoozed` or `parked`.
    pub outcome: String,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When it began, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// Jobs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobPage {
    /// A page of them. It may be short, or empty, and not be the last.
    pub jobs: Vec<JobView>,
    /// Where the next page starts, if there may be one.
    pub next: Option<JobId>,
}

/// How many jobs there are, up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobCount {
    /// So many were counted.
    pub jobs: u64,
    /// Whether these are all; else counting ended before the ledger did.
    pub exact: bool,
}

/// The columns of a [`JobRow`].
macro_rules! job_columns {
    () => {
        "j.id, j.name, j.queue, j.priority, j.state, j.attempt, j.max_attempts, j.run_at, j.group_id, j.client_id,
         left(j.last_error, 500) as error, j.redriven, j.cancel_requested_at, j.created_at, j.started_at, j.finished_at"
    };
}
pub(crate) use job_columns;

#[derive(sqlx::FromRow)]
pub(crate) struct JobRow {
    id: JobId,
    name: String,
    queue: String,
    priority: i16,
    state: JobState,
    attempt: i32,
    max_attempts: i32,
    run_at: jiff_sqlx::Timestamp,
    group_id: Option<GroupId>,
    client_id: Option<ClientId>,
    error: Option<String>,
    redriven: i32,
    cancel_requested_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    started_at: Option<jiff_sqlx::Timestamp>,
    finished_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(sqlx::FromRow)]
pub(super) struct DetailRow {
    #[sqlx(flatten)]
    job: JobRow,
    payload: Json<Value>,
    result: Option<Json<Value>>,
    worker: Option<String>,
    last_error: Option<String>,
    trace_parent: Option<String>,
    unique_key: Option<String>,
    fair_key: Option<String>,
    parked_by: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct AttemptRow {
    attempt: i32,
    delivery: i64,
    outcome: String,
    error: Option<String>,
    worker: Option<String>,
    started_at: Option<jiff_sqlx::Timestamp>,
    ended_at: jiff_sqlx::Timestamp,
}

impl JobRow {
    pub(crate) fn into_view(self) -> JobView {
        let time = |at: Option<jiff_sqlx::Timestamp>| at.map(jiff_sqlx::Timestamp::to_jiff);
        JobView {
            id: self.id,
            name: self.name,
            queue: self.queue,
            priority: self.priority.unsigned_abs().min(9) as u8,
            state: self.state,
            attempt: self.attempt.unsigned_abs(),
            max_attempts: self.max_attempts.unsigned_abs(),
            run_at: self.run_at.to_jiff(),
            group_id: self.group_id,
            client_id: self.client_id,
            error: self.error,
            redriven: self.redriven.unsigned_abs(),
            cancel_requested_at: time(self.cancel_requested_at),
            created_at: self.created_at.to_jiff(),
            started_at: time(self.started_at),
            finished_at: time(self.finished_at),
        }
    }
}

impl DetailRow {
    pub(super) fn group(&self) -> Option<GroupId> {
        self.job.group_id
    }

    pub(super) fn into_detail(self, attempts: Vec<AttemptRow>, group: Option<GroupView>) -> JobDetail {
        JobDetail {
            job: self.job.into_view(),
            payload: self.payload.0,
            result: self.result.map(|result| result.0),
            worker: self.worker,
            last_error: self.last_error,
            trace_parent: self.trace_parent,
            unique_key: self.unique_key,
            fair_key: self.fair_key,
            parked_by: self.parked_by,
            attempts: attempts.into_iter().map(AttemptRow::into_view).collect(),
            group,
        }
    }
}

impl AttemptRow {
    fn into_view(self) -> AttemptView {
        AttemptView {
            attempt: self.attempt.unsigned_abs(),
            delivery: self.delivery.unsigned_abs(),
            outcome: self.outcome,
            error: self.error,
            worker: self.worker,
            started_at: self.started_at.map(jiff_sqlx::Timestamp::to_jiff),
            ended_at: self.ended_at.to_jiff(),
        }
    }
}
