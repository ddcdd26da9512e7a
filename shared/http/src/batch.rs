//! `POST /v1/jobs/batch`: many jobs, all or none.

use axum::{extract::Request, response::Response};
use gristmill_queue::{JobId, NewJob, QueueError};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    jobs::JobBody,
    json::{object, whole},
    problem::{Failure, FieldError, Problem, ProblemKind, Result},
    request::Producer,
};

/// Jobs that one request may enqueue.
pub const MAX_BATCH: usize = 10_000;
/// Errors that one answer lists.
const MAX_ERRORS: usize = 20;

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnqueuedBatch {
    /// A job for each line, in their order.
    #[schema(value_type = Vec<Uuid>)]
    ids: Vec<JobId>,
    /// Lines, from 1, whose unique key a job had already, in the ledger or on an earlier line: that is the job in `ids`, and
    /// nothing was enqueued for them.
    existing: Vec<usize>,
    /// Those of them whose job was waiting, and is now what the line says: see `unique_mode`.
    replaced: Vec<usize>,
}

/// Enqueue many jobs
///
/// A line of JSON each, up to 10,000, in one transaction: all are kept when this is answered, or none. What is wrong is said
/// with the number of its line.
#[utoipa::path(post, path = "/v1/jobs/batch", operation_id = "enqueueJobs", tag = "jobs",
    request_body(content = JobBody, content_type = "application/x-ndjson", description = "A job on each line"),
    responses((status = 201, description = "They are enqueued", body = EnqueuedBatch)))]
pub(crate) async fn enqueue_batch(producer: Producer, request: Request) -> Result<Response> {
    let body = whole(request, &()).await?;
    let (jobs, lines) = jobs(&body, producer.trace_parent())?;
    let queue = producer.http.queue();
    let mut tx = queue.pool().begin().await?;
    let many = queue.enqueue_many(&mut tx, &jobs).await.map_err(|error| match error.job {
        Some(n) => about_line(lines[n], error.error),
        None => error.error.into(),
    })?;
    let lines_of = |places: &[usize]| places.iter().map(|n| lines[*n]).collect();
    let (existing, replaced) = (lines_of(many.existing()), lines_of(many.replaced()));
    let answer = EnqueuedBatch { ids: many.ids().to_vec(), existing, replaced };
    let response = producer.answer(&mut tx, StatusCode::CREATED, None, &answer).await?;
    tx.commit().await?;
    // Of ten thousand the client need not wait for the hand-over: they are in the ledger.
    let queue = queue.clone();
    tokio::spawn(async move { queue.push(many.into_enqueued()).await });
    Ok(response)
}

/// The jobs, and the line of each.
fn jobs(body: &[u8], trace_parent: Option<String>) -> Result<(Vec<NewJob>, Vec<usize>)> {
    let (mut jobs, mut lines, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (n, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if jobs.len() == MAX_BATCH {
            let detail = format!("The body has more than {MAX_BATCH} jobs: send several requests.");
            return Err(Problem::new(ProblemKind::BodyTooLarge, detail).into());
        }
        let read = object::<JobBody>(line).map_err(|error| vec![error]);
        match read.and_then(|job| job.job(trace_parent.clone())) {
            Ok(job) => {
                jobs.push(job);
                lines.push(n + 1);
            }
            Err(found) => errors.extend(found.into_iter().map(|error| on_line(n + 1, error))),
        }
        if errors.len() >= MAX_ERRORS {
            break;
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors).into());
    }
    if jobs.is_empty() {
        return Err(Problem::new(ProblemKind::InvalidBody, "The body has no job: send a line of JSON for each.").into());
    }
    Ok((jobs, lines))
}

fn on_line(line: usize, error: FieldError) -> FieldError {
    let field = if error.field.is_empty() { format!("line {line}") } else { format!("line {line}: {}", error.field) };
    FieldError::new(field, error.detail)
}

/// What the queue finds wrong with one job.
fn about_line(line: usize, error: QueueError) -> Failure {
    match error {
        QueueError::Payload { .. } => Problem::field(&format!("line {line}: payload"), error).into(),
        QueueError::Nul(_) | QueueError::LongKey(_) => Problem::field(&format!("line {line}"), error).into(),
        QueueError::GroupClosed(_) => {
            let detail =
                format!("line {line}: {error}: it is sealed, has ended, or does not exist. Create another one.");
            Problem::new(ProblemKind::WrongState, detail).into()
        }
        error => error.into(),
    }
}
