//! `POST /v1/jobs`: a job.

use axum::response::Response;
use gristmill_queue::{Backoff, JobId, NewJob, UniqueMode};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    claims::{name_error, text_error},
    json::Body,
    problem::{Failure, FieldError, Problem, Result, fault},
    request::Producer,
    time_span::TimeSpan,
};

/// The longest key of a job, in characters.
pub(crate) const MAX_KEY: usize = 1_000;
/// Tags that a job may have.
pub const MAX_TAGS: usize = 50;

/// A job to be enqueued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewJob)]
pub(crate) struct JobBody {
    /// What it does: the name by which workers know it.
    #[schema(min_length = 1, max_length = 200, example = "thumb")]
    name: String,
    /// What it is given; an empty object unless given. It carries ids, and content is kept elsewhere.
    #[schema(value_type = Option<serde_json::Value>, example = json!({ "picture": 7 }))]
    payload: Option<Box<RawValue>>,
    /// The queue that it waits in.
    #[schema(min_length = 1, max_length = 200, default = "default")]
    queue: Option<String>,
    /// So long after `run_at`, or after now.
    delay: Option<TimeSpan>,
    /// Not before this time.
    run_at: Option<Timestamp>,
    /// 0 is the most urgent, 9 the least.
    #[schema(minimum = 0, maximum = 9, default = 4)]
    priority: Option<u8>,
    /// Failed attempts until it is dead.
    #[schema(minimum = 1, maximum = 65_535, default = 8)]
    max_attempts: Option<u16>,
    /// How long one attempt may take; else as its worker has it.
    timeout: Option<TimeSpan>,
    /// How long to wait between attempts; else as its worker has it.
    backoff: Option<Backoff>,
    /// A job that has not started so long after it was due is cancelled.
    expires_in: Option<TimeSpan>,
    /// Nothing is enqueued while a job with this key waits or runs.
    #[schema(min_length = 1, max_length = 1_000)]
    unique_key: Option<String>,
    /// What it does to the job that waits with its unique key. `keep`: nothing. `replace`: that takes its payload and options, and
    /// its time where it has a `run_at` or a `delay`. `debounce`: the same, and the start is put off anew by its `delay`.
    unique_mode: Option<UniqueMode>,
    /// Jobs with this key run one at a time, in the order in which they were enqueued: one that is tried again holds back those
    /// behind it until it has ended.
    #[schema(max_length = 1_000)]
    order_key: Option<String>,
    /// Whose turn it takes: jobs of one queue and priority take turns by this key.
    #[schema(min_length = 1, max_length = 1_000)]
    fair_key: Option<String>,
    /// A member of this group.
    group: Option<Uuid>,
    /// Words to find it by.
    #[serde(default)]
    #[schema(max_items = 50)]
    tags: Vec<String>,
    /// How long it is kept when it has ended; else as long as every job.
    retain: Option<TimeSpan>,
}

/// What became of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnqueuedJob {
    /// The new job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    id: Option<JobId>,
    /// The job that has the unique key: nothing was enqueued.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    existing: Option<JobId>,
    /// That job was waiting, and is now what was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replaced: bool,
}

/// Enqueue a job
///
/// It is kept when this is answered, and starts within milliseconds where a worker is free. `GET /v1/jobs/{id}` tells its state
/// and its result.
#[utoipa::path(post, path = "/v1/jobs", operation_id = "enqueueJob", tag = "jobs", request_body = JobBody,
    responses((status = 201, description = "It is enqueued", body = EnqueuedJob),
        (status = 200, description = "A job with its unique key waits or runs already", body = EnqueuedJob)))]
pub(crate) async fn enqueue(producer: Producer, Body(body): Body<JobBody>) -> Result<Response> {
    let job = body.job(producer.trace_parent()).map_err(Problem::fields)?;
    let queue = producer.http.queue();
    let mut tx = queue.pool().begin().await?;
    let many = queue.enqueue_many(&mut tx, std::slice::from_ref(&job)).await.map_err(about_job)?;
    let known = many.ids().first().copied();
    let is_new = !many.enqueued().is_empty();
    let id = known.ok_or_else(|| fault("a job was neither enqueued nor there"))?;
    let (status, answer) = if is_new {
        (StatusCode::CREATED, EnqueuedJob { id: Some(id), existing: None, replaced: false })
    } else {
        (StatusCode::OK, EnqueuedJob { id: None, existing: Some(id), replaced: !many.replaced().is_empty() })
    };
    let response = producer.answer(&mut tx, status, Some(&format!("/v1/jobs/{id}")), &answer).await?;
    tx.commit().await?;
    queue.push(many.into_enqueued()).await;
    Ok(response)
}

/// What is wrong with the only job of a request.
fn about_job(error: gristmill_queue::EnqueueManyError) -> Failure {
    error.error.into()
}

impl JobBody {
    /// The job, or what is wrong with it.
    pub(crate) fn job(self, trace_parent: Option<String>) -> Result<NewJob, Vec<FieldError>> {
        let mut errors: Vec<FieldError> = name_error("name", &self.name).into_iter().collect();
        errors.extend(self.queue.as_ref().and_then(|queue| name_error("queue", queue)));
        if let Some(priority) = self.priority.filter(|priority| *priority > 9) {
            errors.push(FieldError::new("priority", format!("is {priority}; 0, the most urgent, to 9 are allowed")));
        }
        if self.max_attempts == Some(0) {
            errors.push(FieldError::new("max_attempts", "is 0; a job has 1 attempt at least"));
        }
        if self.timeout.is_some_and(|span| span.0.is_zero()) {
            errors.push(FieldError::new("timeout", "is 0: no attempt could succeed"));
        }
        let keys = [("unique_key", &self.unique_key), ("fair_key", &self.fair_key), ("order_key", &self.order_key)];
        errors.extend(keys.into_iter().filter_map(|(field, key)| text_error(field, key.as_deref()?, MAX_KEY)));
        if self.tags.len() > MAX_TAGS {
            errors.push(FieldError::new("tags", format!("are {}; {MAX_TAGS} are allowed", self.tags.len())));
        }
        errors.extend(self.tags.iter().enumerate().filter_map(|(n, tag)| name_error(&format!("tags[{n}]"), tag)));
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut job = NewJob::new(self.name, self.payload.unwrap_or_else(nothing));
        if let Some(queue) = self.queue {
            job.queue = queue;
        }
        job.priority = self.priority.unwrap_or(job.priority);
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        job.delay = self.delay.map(|span| span.0);
        job.run_at = self.run_at;
        job.timeout = self.timeout.map(|span| span.0);
        job.backoff = self.backoff;
        job.expires_in = self.expires_in.map(|span| span.0);
        job.unique_key = self.unique_key;
        job.unique_mode = self.unique_mode.unwrap_or_default();
        job.fair_key = self.fair_key;
        job.order_key = self.order_key;
        job.group = self.group.map(Into::into);
        job.tags = self.tags;
        job.retain = self.retain.map(|span| span.0);
        job.trace_parent = trace_parent;
        Ok(job)
    }
}

/// The payload of a job that needs none.
fn nothing() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}
