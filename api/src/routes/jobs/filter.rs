//! Which jobs a request is about.

use gristmill_platform::keys;
use gristmill_queue::{GroupId, JobFilter, JobId, JobState};
use jiff::Timestamp;
use serde::Deserialize;
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    auth::{Caller, forbidden},
    params::Params,
    problem::{Problem, Result},
};

/// Most ids that one request may name.
const MOST_IDS: usize = 10_000;

/// Jobs that meet all of these conditions.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    /// In one of these states.
    #[schema(inline)]
    states: Vec<JobState>,
    /// Of this queue.
    queue: Option<String>,
    /// Of this name.
    name: Option<String>,
    /// On behalf of the client of this name.
    client: Option<String>,
    /// Members of this group.
    #[schema(value_type = Option<Uuid>)]
    group: Option<GroupId>,
    /// With this tag.
    tag: Option<String>,
    /// Enqueued at this time or later.
    created_after: Option<Timestamp>,
    /// Enqueued before this time.
    created_before: Option<Timestamp>,
    /// With this text in their last error, in capitals or not.
    error: Option<String>,
    /// Only these, at most 10,000.
    #[schema(max_items = 10_000)]
    #[schema(value_type = Vec<Uuid>)]
    pub(super) ids: Vec<JobId>,
    /// Brought back fewer times than this.
    redriven_less_than: Option<u32>,
}

/// Which jobs, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
pub(super) struct JobsQuery {
    /// Only jobs in these states, with commas between them: `available` (which also those that run are), `scheduled`,
    /// `completed`, `dead`, `cancelled`, `parked`.
    #[param(example = "dead,parked")]
    state: Option<String>,
    /// Only jobs of this queue.
    queue: Option<String>,
    /// Only jobs of this name.
    #[param(example = "uploads.load_chunk")]
    name: Option<String>,
    /// Only jobs on behalf of the client of this name.
    client: Option<String>,
    /// Only members of this group.
    group: Option<Uuid>,
    /// Only jobs with this tag.
    #[param(example = "signup")]
    tag: Option<String>,
    /// Only jobs enqueued at this time or later.
    created_after: Option<Timestamp>,
    /// Only jobs enqueued before this time.
    created_before: Option<Timestamp>,
    /// Only jobs with this text in their last error, in capitals or not.
    error: Option<String>,
    /// Only these, with commas between them.
    id: Option<String>,
    /// Whether to count them, up to 10,000.
    #[param(default = false)]
    total: Option<bool>,
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^j[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

impl Filter {
    pub(super) fn take(query: &mut Params) -> Self {
        Self {
            states: query.list("state"),
            queue: query.take("queue"),
            name: query.take("name"),
            client: query.take("client"),
            group: query.id("group"),
            tag: query.take("tag"),
            created_after: query.time("created_after"),
            created_before: query.time("created_before"),
            error: query.take("error"),
            ids: query.list("id"),
            redriven_less_than: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For a client, only of its own jobs.
    pub(super) async fn seen_by(self, caller: &Caller, pool: &PgPool) -> Result<JobFilter> {
        if self.ids.len() > MOST_IDS {
            return Err(Problem::bad_field("ids", format!("{} ids; {MOST_IDS} are the most", self.ids.len())));
        }
        let client_id = match self.client {
            Some(name) if caller.is_operator() => {
                let found = keys::client_id(pool, &name).await?;
                Some(found.ok_or_else(|| Problem::no_such_client(&name))?)
            }
            Some(name) if name != caller.name() => return Err(forbidden()),
            None if caller.is_operator() => None,
            Some(_) | None => Some(caller.id()),
        };
        Ok(JobFilter {
            states: self.states,
            queue: self.queue,
            name: self.name,
            excluded_names: Vec::new(),
            client_id,
            group: self.group,
            tag: self.tag,
            created_after: self.created_after,
            created_before: self.created_before,
            error: self.error,
            ids: self.ids,
            redriven_less_than: self.redriven_less_than,
        })
    }
}
