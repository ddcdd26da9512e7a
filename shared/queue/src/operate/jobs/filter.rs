//! Which jobs.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::GroupId;

/// Where a job stands. A running job is `available`: that it runs is the broker's knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// Waits for a worker, or runs.
    Available,
    /// Waits for its time.
    Scheduled,
    /// Done.
    Completed,
    /// Out of attempts, or hopeless.
    Dead,
    /// Stopped on demand.
    Cancelled,
    /// No worker can read it; a newer binary may.
    Parked,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Available, Self::Scheduled, Self::Completed, Self::Dead, Self::Cancelled, Self::Parked];

    /// The word in the ledger and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Scheduled => "scheduled",
            Self::Completed => "completed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no [`JobState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of available, scheduled, completed, dead, cancelled, parked")]
pub struct NoJobState(String);

impl FromStr for JobState {
    type Err = NoJobState;

    fn from_str(word: &str) -> Result<Self, NoJobState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| NoJobState(word.into()))
    }
}

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
    /// On behalf of this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<i32>,
    /// Members of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
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
    pub ids: Vec<Uuid>,
    /// Brought back fewer times than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redriven_less_than: Option<u32>,
}

impl JobFilter {
    /// These jobs.
    #[must_use]
    pub fn ids(ids: impl Into<Vec<Uuid>>) -> Self {
        Self { ids: ids.into(), ..Self::default() }
    }

    /// Whether it takes every job there is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
