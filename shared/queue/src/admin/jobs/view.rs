//! What is shown of jobs.

use gristmill_core::ClientId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;

use crate::{Cause, GroupId, JobId, JobState, admin::groups::GroupView, ledger::flows::HELD_UNTIL};

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
    /// It waits for the stages before its own; `run_at` is of the year 9000 then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// What it waits for beside its time. `turn`: those of its order key that are before it. `slot`: room within the limits of its
    /// name, or of a pool that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The group that it is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<uuid::Uuid>))]
    pub group_id: Option<GroupId>,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<i32>))]
    pub client_id: Option<ClientId>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
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
    /// Jobs with this key run one at a time, in their order.
    pub order_key: Option<String>,
    /// The version of the binary that could not read it.
    pub parked_by: Option<String>,
    /// How long one attempt may take, in milliseconds; none: as its worker has it.
    pub timeout_ms: Option<u64>,
    /// It is cancelled when it has not started by then.
    pub expires_at: Option<Timestamp>,
    /// How long it waits between attempts: `{"type": "fixed" | "exponential", "delay_ms", "limit_ms"}`; none: as its worker has it.
    pub backoff: Option<Value>,
    /// How long it is kept when it has ended, in seconds; none: as long as every job.
    pub retain_seconds: Option<u32>,
    /// The tick of a schedule that enqueued it.
    pub tick: Option<JobTick>,
    /// The signal that it waits for; `run_at` is the end of that.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// How far it has come, as it said itself.
    #[serde(default)]
    pub cursor: Option<Value>,
    /// Its steps, sleeps and waits, in the order in which they were done.
    #[serde(default)]
    pub steps: Vec<StepView>,
    /// Attempts that did not succeed, the oldest first; the last hundred of them.
    pub attempts: Vec<AttemptView>,
    /// Its group.
    pub group: Option<GroupView>,
}

/// The tick of a schedule that enqueued a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct JobTick {
    /// The schedule.
    pub schedule: String,
    /// When the tick was to be.
    pub fire_at: Timestamp,
    /// Why it fired.
    pub cause: Cause,
}

/// What a job has recorded for its further runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct StepView {
    /// `step`, `sleep` or `wait`.
    pub kind: String,
    /// Of a step its own, of a sleep its number, of a wait the signal and a number.
    pub name: String,
    /// What the step came to, or what was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// A sleep or a wait ends then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When it was over; of a sleep that is `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
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
        "j.id, j.name, j.queue, j.priority, j.state, j.attempt, j.max_attempts, coalesce(j.due_at, j.run_at) as run_at,
         case when j.state = 'scheduled' and j.gate in ('turn', 'slot') then j.gate end as gate, j.group_id, j.client_id, j.tags,
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
    gate: Option<String>,
    group_id: Option<GroupId>,
    client_id: Option<ClientId>,
    tags: Option<Vec<Option<String>>>,
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
    order_key: Option<String>,
    parked_by: Option<String>,
    timeout_ms: Option<i32>,
    expires_at: Option<jiff_sqlx::Timestamp>,
    backoff: Option<Json<Value>>,
    retain_seconds: Option<i32>,
    waits_for: Option<String>,
    resumes: bool,
}

#[derive(sqlx::FromRow)]
pub(super) struct JobTickRow {
    schedule: String,
    fire_at: jiff_sqlx::Timestamp,
    cause: Cause,
}

#[derive(sqlx::FromRow)]
pub(super) struct StepRow {
    kind: String,
    name: String,
    result: Option<Json<Value>>,
    until: Option<jiff_sqlx::Timestamp>,
    done_at: Option<jiff_sqlx::Timestamp>,
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
            held: self.state == JobState::Scheduled && self.run_at.to_jiff().as_second() >= HELD_UNTIL,
            gate: self.gate,
            group_id: self.group_id,
            client_id: self.client_id,
            tags: self.tags.into_iter().flatten().flatten().collect(),
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

    /// It has recorded something for its further runs.
    pub(super) fn resumes(&self) -> bool {
        self.resumes
    }

    pub(super) fn into_detail(
        self,
        attempts: Vec<AttemptRow>,
        steps: Vec<StepRow>,
        group: Option<GroupView>,
        tick: Option<JobTickRow>,
    ) -> JobDetail {
        let (mut cursors, steps): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| step.kind == "cursor");
        let waits = self.job.state == JobState::Scheduled;
        JobDetail {
            waits_for: self.waits_for.filter(|_| waits),
            cursor: cursors.pop().and_then(|cursor| cursor.result).map(|cursor| cursor.0),
            steps: steps.into_iter().map(StepRow::into_view).collect(),
            job: self.job.into_view(),
            payload: self.payload.0,
            result: self.result.map(|result| result.0),
            worker: self.worker,
            last_error: self.last_error,
            trace_parent: self.trace_parent,
            unique_key: self.unique_key,
            fair_key: self.fair_key,
            order_key: self.order_key,
            parked_by: self.parked_by,
            timeout_ms: self.timeout_ms.map(|millis| millis.unsigned_abs().into()),
            expires_at: self.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            backoff: self.backoff.map(|backoff| backoff.0),
            retain_seconds: self.retain_seconds.map(i32::unsigned_abs),
            tick: tick.map(JobTickRow::into_tick),
            attempts: attempts.into_iter().map(AttemptRow::into_view).collect(),
            group,
        }
    }
}

impl JobTickRow {
    fn into_tick(self) -> JobTick {
        JobTick { schedule: self.schedule, fire_at: self.fire_at.to_jiff(), cause: self.cause }
    }
}

impl StepRow {
    fn into_view(self) -> StepView {
        StepView {
            kind: self.kind,
            name: self.name,
            result: self.result.map(|result| result.0),
            until: self.until.map(jiff_sqlx::Timestamp::to_jiff),
            done_at: self.done_at.map(jiff_sqlx::Timestamp::to_jiff),
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
