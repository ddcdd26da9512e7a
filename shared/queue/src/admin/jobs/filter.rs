//! Which jobs.

use gristmill_core::ClientId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{GroupId, JobId, JobState};

/// Jobs that meet all of these conditions; without any, all jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct JobFilter {
    /// In one of these states; none given: in any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<JobState>,
    /// Of this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of none of these names, but for members of groups that have ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_names: Vec<String>,
    /// On behalf of this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<i32>))]
    pub client_id: Option<ClientId>,
    /// Members of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<uuid::Uuid>))]
    pub group: Option<GroupId>,
    /// With this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Enqueued at this time or later, by the clock of who enqueued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Enqueued before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
    /// With this text in their last error, in capitals or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<uuid::Uuid>))]
    pub ids: Vec<JobId>,
    /// Brought back fewer times than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redriven_less_than: Option<u32>,
}

impl JobFilter {
    /// These jobs.
    #[must_use]
    pub fn ids(ids: impl Into<Vec<JobId>>) -> Self {
        Self { ids: ids.into(), ..Self::default() }
    }

    /// Whether it takes every job there is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
