//! A job that waits is changed, or runs now; one that has ended badly runs again, with another payload where wanted.

use axum::Json;
use gristmill_http::{MAX_NAME, MAX_TAGS, TimeSpan};
use gristmill_kinds::Owner;
use gristmill_queue::{ChangeError, JobChange, JobDetail};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::{About, OneJob};
use crate::{
    auth::{Operator, forbidden},
    idempotency::Once,
    json::Body,
    openapi::{NotNow, NotOperator},
    problem::{Code, Problem, Result},
};

/// What a job is to be from now on; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JobChange)]
pub(crate) struct Change {
    /// What it is given.
    payload: Option<Value>,
    /// The queue that it waits in.
    #[schema(min_length = 1, max_length = 200)]
    queue: Option<String>,
    /// 0 is the most urgent, 9 the least.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Failed attempts until it is dead, those that it has had among them.
    #[schema(minimum = 1)]
    max_attempts: Option<u16>,
    /// Not before this time. One that has passed means now.
    run_at: Option<Timestamp>,
    /// How long one attempt may take.
    timeout: Option<TimeSpan>,
    /// Words to find it by, in place of those that it has.
    #[schema(max_items = 50)]
    tags: Option<Vec<String>>,
}

/// How a job is to run again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JobRetry)]
pub(crate) struct Retry {
    /// What it is given from now on (for operators); what it was given, unless there is something here.
    pub(super) payload: Option<Value>,
}

/// Change a job that waits
///
/// One that is scheduled, for later or for its next attempt; or one that is dead, parked or cancelled, which `redrive` runs again
/// after that. What runs, or may in a moment, stays as it is.
#[utoipa::path(patch, path = "/v1/jobs/{id}", operation_id = "changeJob", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    request_body = Change,
    responses((status = 200, description = "The job as it is now", body = OneJob), NotOperator, NotNow))]
pub(crate) async fn change(_: Operator, about: About, Body(body): Body<Change>) -> Result<Json<OneJob>> {
    let change = body.change()?;
    about.found_alone().await?;
    let mut tx = about.app.pool.begin().await?;
    about.app.queue.jobs().change_in(&mut tx, about.id, &change).await.map_err(problem)?;
    let now = about.show(&mut tx).await?;
    tx.commit().await?;
    Ok(Json(now))
}

/// Run a scheduled job now
///
/// One that is to run later, or that waits for its next attempt, is due at once.
#[utoipa::path(post, path = "/v1/jobs/{id}/promote", operation_id = "promoteJob", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "The job as it is now", body = OneJob), NotNow))]
pub(crate) async fn promote(about: About, once: Once) -> Result<Json<OneJob>> {
    let mut tx = about.app.pool.begin().await?;
    about.find(&mut tx).await?;
    about.app.queue.jobs().promote_in(&mut tx, about.id).await.map_err(problem)?;
    let now = about.show(&mut tx).await?;
    once.keep(&mut tx, StatusCode::OK, None, &now).await?;
    tx.commit().await?;
    Ok(Json(now))
}

/// Runs a job again with another payload.
pub(super) async fn retry_with(about: About, payload: Value, once: Once) -> Result<Json<OneJob>> {
    if !about.caller.is_operator() {
        return Err(forbidden());
    }
    about.found_alone().await?;
    let change = JobChange { payload: Some(payload), ..JobChange::default() };
    // On a task of its own: once begun it is finished, even if the client hangs up.
    let retrying = async move {
        let mut tx = about.app.pool.begin().await?;
        let jobs = about.app.queue.jobs().retry_in(&mut tx, about.id, &change).await.map_err(problem)?;
        let now = about.show(&mut tx).await?;
        once.keep(&mut tx, StatusCode::OK, None, &now).await?;
        tx.commit().await?;
        about.app.queue.push(jobs).await;
        Ok(Json(now))
    };
    tokio::spawn(retrying.in_current_span()).await.map_err(Problem::internal)?
}

impl About {
    /// The job, unless an upload or a billing run needs it as it is.
    async fn found_alone(&self) -> Result<JobDetail> {
        let found = self.find(&mut *self.app.pool.acquire().await?).await?;
        let Some(owner) = Owner::of_job(&found) else { return Ok(found) };
        let detail = format!("The job is {owner}'s, which needs it as it is: {} ends that.", owner.end());
        Err(Problem::new(Code::WrongState, detail).about(owner.upload()))
    }
}

impl Change {
    fn change(self) -> Result<JobChange> {
        let Self { payload, queue, priority, max_attempts, run_at, timeout, tags } = self;
        let is_name = |text: &str| !text.is_empty() && text.chars().count() <= MAX_NAME;
        if queue.as_ref().is_some_and(|queue| !is_name(queue)) {
            return Err(Problem::bad_field("queue", "takes 1 to 200 characters"));
        }
        if let Some(tags) = &tags {
            if tags.len() > MAX_TAGS {
                return Err(Problem::bad_field("tags", format!("are {}; {MAX_TAGS} are allowed", tags.len())));
            }
            if let Some(n) = tags.iter().position(|tag| !is_name(tag)) {
                return Err(Problem::bad_field(&format!("tags[{n}]"), "takes 1 to 200 characters"));
            }
        }
        Ok(JobChange { payload, queue, priority, max_attempts, run_at, timeout: timeout.map(|span| span.0), tags })
    }
}

/// The answer to what cannot be done with a job.
fn problem(error: ChangeError) -> Problem {
    match error {
        ChangeError::NotFound(id) => Problem::not_found("job", id, "/v1/jobs"),
        ChangeError::Value { field, .. } => Problem::bad_field(field, error),
        ChangeError::Payload(_) => Problem::bad_field("payload", error),
        ChangeError::Queue(error) => error.into(),
        error => Problem::new(Code::WrongState, format!("Not done: {error}.")),
    }
}
