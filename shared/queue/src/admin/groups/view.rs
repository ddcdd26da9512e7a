//! What is shown of groups.

use gristmill_core::{ClientId, string_enum};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::{AfterFailure, GroupId, JobSpec, JobView};

string_enum! {
    /// Where a group stands.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    #[non_exhaustive]
    pub enum GroupState {
        /// Members are to be done, or still to come.
        Open,
        /// A member has failed; the last ones are still stopping.
        Failing,
        /// Every member is finished.
        Completed,
        /// Every member is finished, and one has failed.
        Failed,
        /// It was cancelled.
        Cancelled,
    }
}

/// Groups that meet all of these conditions; without any, all groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupFilter {
    /// In one of these states; none given: in any.
    pub states: Vec<GroupState>,
    /// On behalf of this client.
    pub client_id: Option<ClientId>,
    /// Directly inside this group.
    pub parent: Option<GroupId>,
}

/// A group as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct GroupView {
    /// Its id, in order of time.
    #[cfg_attr(feature = "schema", schema(value_type = uuid::Uuid))]
    pub id: GroupId,
    /// What it is called, if it was given a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it stands.
    pub state: GroupState,
    /// What a failed member does: `continue` or `fail_fast`.
    pub policy: String,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<i32>))]
    pub client_id: Option<ClientId>,
    /// The group that it is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<uuid::Uuid>))]
    pub parent_id: Option<GroupId>,
    /// Members so far; final once it is sealed. A nested group is one.
    pub total: u64,
    /// Members that are done.
    pub completed: u64,
    /// Members that have failed for good.
    pub failed: u64,
    /// Members that were stopped.
    pub cancelled: u64,
    /// Whether it takes no more members.
    pub sealed: bool,
    /// How often it has ended: more than once when failed members were run again.
    pub completions: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last member ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Everything about one group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub group: GroupView,
    /// The job that its end enqueues.
    pub on_complete: Option<JobSpec>,
    /// The job that its end enqueues when a member has failed.
    pub on_failure: Option<JobSpec>,
    /// The group around it.
    pub parent: Option<GroupView>,
    /// Groups directly inside it, the newest first; at most a hundred.
    pub children: Vec<GroupView>,
    /// The stages of the flow that it is, or is a stage of, in their order.
    pub stages: Vec<StageView>,
    /// Members that are dead or parked, the newest first; at most fifty.
    pub failed_members: Vec<JobView>,
    /// There are, or may be, more of them than these.
    pub more_failed_members: bool,
}

/// A stage of a flow: a group that may wait for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct StageView {
    /// The group that it is.
    #[cfg_attr(feature = "schema", schema(value_type = uuid::Uuid))]
    pub id: GroupId,
    /// What it is called; no two of a flow are called the same.
    pub name: String,
    /// The stages that it waits for, by their names.
    pub after: Vec<String>,
    /// What it does when one of these has failed.
    pub after_failure: AfterFailure,
    /// Whether it waits still. Its jobs are `scheduled` then, for the year 9000.
    pub held: bool,
    /// Where its group stands.
    pub state: GroupState,
    /// Its jobs.
    pub total: u64,
    /// Those that are done.
    pub completed: u64,
    /// Those that have failed for good.
    pub failed: u64,
    /// Those that were stopped.
    pub cancelled: u64,
}

/// Groups, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupPage {
    /// A page of them. It may be short, or empty, and not be the last.
    pub groups: Vec<GroupView>,
    /// Where the next page starts, if there may be one.
    pub next: Option<GroupId>,
}

#[derive(sqlx::FromRow)]
pub(super) struct GroupRow {
    id: GroupId,
    name: Option<String>,
    state: GroupState,
    policy: String,
    client_id: Option<ClientId>,
    parent_id: Option<GroupId>,
    total: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    sealed: bool,
    completions: i32,
    created_at: jiff_sqlx::Timestamp,
    finished_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(sqlx::FromRow)]
pub(super) struct StageRow {
    id: GroupId,
    name: String,
    after: Vec<String>,
    after_failure: AfterFailure,
    held: bool,
    state: GroupState,
    total: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
}

impl StageRow {
    pub(super) fn into_view(self) -> StageView {
        StageView {
            id: self.id,
            name: self.name,
            after: self.after,
            after_failure: self.after_failure,
            held: self.held,
            state: self.state,
            total: self.total.unsigned_abs(),
            completed: self.completed.unsigned_abs(),
            failed: self.failed.unsigned_abs(),
            cancelled: self.cancelled.unsigned_abs(),
        }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct DetailRow {
    #[sqlx(flatten)]
    pub(super) group: GroupRow,
    pub(super) on_complete: Option<Json<Option<JobSpec>>>,
    pub(super) on_failure: Option<Json<Option<JobSpec>>>,
}

impl GroupRow {
    pub(super) fn into_view(self) -> GroupView {
        GroupView {
            id: self.id,
            name: self.name,
            state: self.state,
            policy: self.policy,
            client_id: self.client_id,
            parent_id: self.parent_id,
            total: self.total.unsigned_abs(),
            completed: self.completed.unsigned_abs(),
            failed: self.failed.unsigned_abs(),
            cancelled: self.cancelled.unsigned_abs(),
            sealed: self.sealed,
            completions: self.completions.unsigned_abs(),
            created_at: self.created_at.to_jiff(),
            finished_at: self.finished_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}
