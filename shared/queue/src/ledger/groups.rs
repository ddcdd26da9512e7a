//! Groups: jobs with one join.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Enqueued, GroupId, Job, QueueError, ledger::complete};

/// What a failed member does to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupPolicy {
    /// Every member runs. At the end comes `on_failure` if a member failed and there is such a job,
    /// otherwise `on_complete`.
    Continue,
    /// The first final failure cancels the members that have not finished; when the last one has
    /// stopped comes `on_failure`.
    FailFast,
}

impl GroupPolicy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::FailFast => "fail_fast",
        }
    }
}

/// A job to be enqueued later, by the statement that finishes a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobSpec {
    pub(crate) name: String,
    #[serde(default = "default_queue")]
    pub(crate) queue: String,
    #[serde(default = "default_priority")]
    pub(crate) priority: u8,
    #[serde(default = "default_max_attempts")]
    pub(crate) max_attempts: u16,
    pub(crate) payload: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
}

fn default_queue() -> String {
    "default".into()
}

fn default_priority() -> u8 {
    4
}

fn default_max_attempts() -> u16 {
    8
}

impl JobSpec {
    /// The given job with its own consts.
    ///
    /// # Errors
    /// When the payload does not serialize.
    pub fn of<J: Job>(job: &J) -> Result<Self, QueueError> {
        Ok(Self {
            name: J::NAME.into(),
            queue: J::QUEUE.into(),
            priority: J::PRIORITY.min(9),
            max_attempts: J::MAX_ATTEMPTS.max(1),
            payload: serde_json::to_value(job).map_err(QueueError::Encode)?,
            client_id: None,
            trace_parent: None,
        })
    }

    /// On behalf of this client.
    #[must_use]
    pub fn client(mut self, client_id: i32) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// As part of this W3C trace.
    #[must_use]
    pub fn trace_parent(mut self, trace_parent: impl Into<String>) -> Self {
        self.trace_parent = Some(trace_parent.into());
        self
    }
}

/// A group to be created.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// What a failed member does.
    pub policy: GroupPolicy,
    /// The join.
    pub on_complete: Option<JobSpec>,
    /// The join when a member failed.
    pub on_failure: Option<JobSpec>,
}

pub(crate) async fn create(conn: &mut PgConnection, new: &NewGroup) -> Result<GroupId, QueueError> {
    let id = Uuid::now_v7();
    sqlx::query("insert into groups (id, policy, on_complete, on_failure) values ($1, $2, $3, $4)")
        .bind(id)
        .bind(new.policy.as_str())
        .bind(new.on_complete.as_ref().map(sqlx::types::Json))
        .bind(new.on_failure.as_ref().map(sqlx::types::Json))
        .execute(conn)
        .await?;
    Ok(GroupId(id))
}

pub(crate) async fn seal(conn: &mut PgConnection, group: GroupId) -> Result<Enqueued, QueueError> {
    sqlx::query("update groups set sealed = true where id = $1 and state = 'open'")
        .bind(group.0)
        .execute(&mut *conn)
        .await?;
    complete::close_groups(conn, &[group.0]).await
}

/// Cancels the group and every member that no transaction holds at this moment. The group comes first:
/// who holds a member asks for the group's row before it commits, and then sees what happened.
pub(crate) async fn cancel(conn: &mut PgConnection, group: GroupId) -> Result<u64, QueueError> {
    let open = sqlx::query(
        "update groups set sealed = true, state = 'cancelled', finished_at = now() where id = $1 and finished_at is null",
    )
    .bind(group.0)
    .execute(&mut *conn)
    .await?;
    if open.rows_affected() == 0 {
        return Ok(0);
    }
    Ok(cancel_members(conn, &[group.0]).await?)
}

/// Cancels and counts the members that are still to be done, in groups whose rows the caller has locked.
/// A member that is locked is about to finish by itself: it is passed over rather than waited for, so
/// that taking job rows after groups rows cannot end in a deadlock.
pub(crate) async fn cancel_members(conn: &mut PgConnection, groups: &[Uuid]) -> Result<u64, sqlx::Error> {
    let counts: Vec<(i64,)> = sqlx::query_as(
        "with victims as (
            select id from jobs where group_id = any($1) and state in ('available', 'scheduled') for update skip locked
         ), stopped as (
            update jobs set state = 'cancelled', finished_at = now() from victims where jobs.id = victims.id returning group_id
         ), members as (
            select group_id as id, count(*) as n from stopped group by group_id
         )
         update groups g set cancelled = g.cancelled + m.n from members m where g.id = m.id returning m.n",
    )
    .bind(groups)
    .fetch_all(conn)
    .await?;
    Ok(counts.into_iter().map(|(n,)| n.unsigned_abs()).sum())
}
