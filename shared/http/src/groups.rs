//! `POST /v1/groups`: jobs with one join.

use axum::{extract::Path, response::Response};
use gristmill_queue::{GroupId, GroupPolicy, GroupProgress, JobSpec, NewGroup};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    claims::{name_error, text_error},
    jobs::MAX_KEY,
    json::Body,
    problem::{FieldError, Problem, ProblemKind, Result},
    request::Producer,
};

/// A group to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGroup)]
pub(crate) struct GroupBody {
    /// For people.
    #[schema(min_length = 1, max_length = 200, example = "import")]
    name: Option<String>,
    /// What a failed member does.
    #[serde(default)]
    policy: Policy,
    /// The job that is enqueued when all members have ended.
    on_complete: Option<Join>,
    /// The job that is enqueued instead when a member has failed for good.
    on_failure: Option<Join>,
    /// The group around it, of which it is a member.
    parent: Option<Uuid>,
}

/// What a failed member does.
#[derive(Deserialize, ToSchema, Default)]
#[serde(rename_all = "snake_case")]
#[schema(as = NewGroupPolicy)]
pub(crate) enum Policy {
    /// All others run.
    #[default]
    Continue,
    /// Those that have not ended are cancelled.
    FailFast,
}

impl From<Policy> for GroupPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Continue => Self::Continue,
            Policy::FailFast => Self::FailFast,
        }
    }
}

/// A job that the end of a group enqueues.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewJoin)]
pub(crate) struct Join {
    /// What it does.
    #[schema(min_length = 1, max_length = 200, example = "import.close")]
    name: String,
    /// What it is given.
    #[serde(default = "nothing")]
    payload: serde_json::Value,
    /// The queue that it waits in.
    #[schema(min_length = 1, max_length = 200, default = "default")]
    queue: Option<String>,
    /// 0 is the most urgent, 9 the least.
    #[schema(minimum = 0, maximum = 9, default = 4)]
    priority: Option<u8>,
    /// Failed attempts until it is dead.
    #[schema(minimum = 1, maximum = 65_535, default = 8)]
    max_attempts: Option<u16>,
    /// Jobs with this key run one at a time, in the order in which they were enqueued: this one when it comes.
    #[schema(min_length = 1, max_length = 1_000)]
    order_key: Option<String>,
}

fn nothing() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// A new group.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedGroup {
    /// It: for the `group` of its members.
    #[schema(value_type = Uuid)]
    id: GroupId,
}

/// A group that has all its members.
#[derive(Serialize, ToSchema)]
pub(crate) struct SealedGroup {
    /// It.
    #[schema(value_type = Uuid)]
    id: GroupId,
    /// `open`, `failing`, `completed`, `failed` or `cancelled`.
    state: String,
    /// Its members.
    total: i64,
    /// Those that succeeded.
    completed: i64,
    /// Those that failed for good.
    failed: i64,
    /// Those that were cancelled.
    cancelled: i64,
}

/// Create a group
///
/// Then enqueue its members by their field `group`, and seal it: its join comes when all members have ended.
#[utoipa::path(post, path = "/v1/groups", operation_id = "createGroup", tag = "groups", request_body = GroupBody,
    responses((status = 201, description = "It takes members now", body = CreatedGroup)))]
pub(crate) async fn create(producer: Producer, Body(body): Body<GroupBody>) -> Result<Response> {
    let mut errors: Vec<FieldError> =
        body.name.as_ref().and_then(|name| name_error("name", name)).into_iter().collect();
    let mut spec = |field: &str, join: Option<Join>| join.and_then(|join| join.spec(field, &mut errors));
    let (on_complete, on_failure) = (spec("on_complete", body.on_complete), spec("on_failure", body.on_failure));
    if !errors.is_empty() {
        return Err(Problem::fields(errors).into());
    }
    let policy = body.policy.into();
    let parent = body.parent.map(Into::into);
    let new = NewGroup { on_complete, on_failure, parent, name: body.name, ..NewGroup::new(policy) };
    let queue = producer.http.queue();
    let mut tx = queue.pool().begin().await?;
    let id = queue.create_group(&mut tx, new).await?;
    let location = format!("/v1/groups/{id}");
    let response = producer.answer(&mut tx, StatusCode::CREATED, Some(&location), &CreatedGroup { id }).await?;
    tx.commit().await?;
    Ok(response)
}

/// Seal a group
///
/// It takes no more members, and its join comes when those that it has have ended: at once where they have already.
#[utoipa::path(post, path = "/v1/groups/{id}/seal", operation_id = "sealGroup", tag = "groups",
    params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "The group as it is now", body = SealedGroup)))]
pub(crate) async fn seal(producer: Producer, Path(name): Path<String>) -> Result<Response> {
    let not_found = || Problem::new(ProblemKind::NotFound, format!("There is no group '{name}'."));
    let group: GroupId = name.parse().map_err(|_| not_found())?;
    let queue = producer.http.queue();
    let mut tx = queue.pool().begin().await?;
    let joins = queue.seal_group(&mut tx, group).await?;
    let progress = queue.group_in(&mut tx, group).await?.ok_or_else(not_found)?;
    if !progress.sealed {
        let detail = format!("The group is {} and can no longer be sealed.", progress.state);
        return Err(Problem::new(ProblemKind::WrongState, detail).into());
    }
    let response = producer.answer(&mut tx, StatusCode::OK, None, &SealedGroup::of(progress)).await?;
    tx.commit().await?;
    queue.push(joins).await;
    Ok(response)
}

impl SealedGroup {
    fn of(progress: GroupProgress) -> Self {
        let GroupProgress { id, state, total, completed, failed, cancelled, .. } = progress;
        Self { id, state, total, completed, failed, cancelled }
    }
}

impl Join {
    pub(crate) fn spec(self, field: &str, errors: &mut Vec<FieldError>) -> Option<JobSpec> {
        let before = errors.len();
        errors.extend(name_error(&format!("{field}.name"), &self.name));
        errors.extend(self.queue.as_ref().and_then(|queue| name_error(&format!("{field}.queue"), queue)));
        if let Some(priority) = self.priority.filter(|priority| *priority > 9) {
            errors.push(FieldError::new(format!("{field}.priority"), format!("is {priority}; 0 to 9 are allowed")));
        }
        if self.max_attempts == Some(0) {
            errors.push(FieldError::new(format!("{field}.max_attempts"), "is 0; a job has 1 attempt at least"));
        }
        let key = self.order_key.as_deref();
        errors.extend(key.and_then(|key| text_error(&format!("{field}.order_key"), key, MAX_KEY)));
        if errors.len() > before {
            return None;
        }
        let mut spec = JobSpec::new(self.name, self.payload);
        if let Some(queue) = self.queue {
            spec = spec.queue(queue);
        }
        if let Some(priority) = self.priority {
            spec = spec.priority(priority);
        }
        if let Some(max_attempts) = self.max_attempts {
            spec = spec.max_attempts(max_attempts);
        }
        if let Some(order_key) = self.order_key {
            spec = spec.order_key(order_key);
        }
        Some(spec)
    }
}
