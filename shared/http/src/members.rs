//! `GET /v1/jobs/{id}/members`: what came before a job.

use axum::{
    Json,
    extract::{Path, Query},
};
use gristmill_queue::{JobId, JobState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    claims::name_error,
    problem::{Problem, ProblemKind, Result},
    request::Worker,
};

/// Members that one answer has at most.
const MAX_LIMIT: u16 = 1_000;

/// Which of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct MembersQuery {
    /// Of the stage of this name of the job's flow, in place of those that it waited for.
    #[param(min_length = 1, max_length = 200)]
    stage: Option<String>,
    /// Those after this one: the last one of the answer before.
    after: Option<Uuid>,
    /// At most so many, 1 to 1,000; 200 unless given.
    #[param(minimum = 1, maximum = 1_000, default = 200)]
    limit: Option<u16>,
}

/// What came before a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Members {
    /// In the order in which they were enqueued.
    items: Vec<MemberBody>,
}

/// A job that came before.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberBody {
    /// It.
    #[schema(value_type = Uuid)]
    id: JobId,
    /// What it did.
    name: String,
    /// How it ended.
    #[schema(value_type = String, example = "completed")]
    state: JobState,
    /// What it came to.
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
}

/// What the jobs before this one came to
///
/// For a job of a flow the jobs of the stages that it waited for; for the join of a group its members, and for the join of a flow all of its
/// jobs. For other jobs there are none.
#[utoipa::path(get, path = "/v1/jobs/{id}/members", operation_id = "listMembers", tag = "work",
    params(("id" = Uuid, Path, description = "The job"), MembersQuery),
    responses((status = 200, description = "They, or the first of them", body = Members),
        (status = 409, description = "What one came to is encrypted with a key that the server does not have")))]
pub(crate) async fn list(
    worker: Worker,
    Path(id): Path<String>,
    query: Result<Query<MembersQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Members>> {
    let not_found = || Problem::new(ProblemKind::NotFound, format!("There is no job '{id}'."));
    let job: JobId = id.parse().map_err(|_| not_found())?;
    let Query(MembersQuery { stage, after, limit }) = query.map_err(|error| {
        Problem::new(ProblemKind::InvalidBody, format!("The query is not as it should be: {}.", error.body_text()))
    })?;
    let limit = limit.unwrap_or(200);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::field("limit", format!("is {limit}; 1 to {MAX_LIMIT} are allowed")).into());
    }
    let queue = worker.http.queue();
    if queue.jobs().state(job).await?.is_none() {
        return Err(not_found().into());
    }
    if let Some(error) = stage.as_deref().and_then(|stage| name_error("stage", stage)) {
        return Err(Problem::fields(vec![error]).into());
    }
    let members = queue.members_before(job, stage.as_deref(), after.map(Into::into), limit).await?;
    let items = members.into_iter().map(|member| MemberBody {
        id: member.id,
        name: member.name,
        state: member.state,
        result: member.result,
    });
    Ok(Json(Members { items: items.collect() }))
}
