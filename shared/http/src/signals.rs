//! `POST /v1/jobs/{id}/signals/{name}`: something is said to a job.

use axum::{extract::Path, response::Response};
use gristmill_queue::{JobId, JobState, QueueError};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    claims::name_error,
    json::Body,
    problem::{Failure, Problem, ProblemKind, Result},
    request::Producer,
};

/// What is said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSignal)]
pub(crate) struct SignalBody {
    /// What the job receives: 16 KiB of JSON at most; null unless given.
    #[schema(value_type = Option<serde_json::Value>, example = json!({ "by": "ana" }))]
    payload: Option<Box<RawValue>>,
}

/// A signal that was sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct SentSignal {
    /// The job.
    #[schema(value_type = Uuid)]
    id: JobId,
    /// The signal.
    signal: String,
}

/// Send a job a signal
///
/// The job's next wait for a signal of this name receives it, once. A job that waits for it comes at once; for one that does not
/// yet, it is kept, up to 1,000 of them.
#[utoipa::path(post, path = "/v1/jobs/{id}/signals/{name}", operation_id = "signalJob", tag = "jobs", request_body = SignalBody,
    params(("id" = Uuid, Path, description = "The job"),
        ("name" = String, Path, description = "The signal", min_length = 1, max_length = 200)),
    responses((status = 201, description = "It is kept for the job", body = SentSignal)))]
pub(crate) async fn send(
    producer: Producer,
    Path((job, name)): Path<(String, String)>,
    Body(body): Body<SignalBody>,
) -> Result<Response> {
    let not_found = || Problem::new(ProblemKind::NotFound, format!("There is no job '{job}'."));
    let id: JobId = job.parse().map_err(|_| not_found())?;
    if let Some(error) = name_error("name", &name) {
        return Err(Problem::fields(vec![error]).into());
    }
    let queue = producer.http.queue();
    let mut tx = queue.pool().begin().await?;
    if !queue.signal_in(&mut tx, id, &name, &body.payload).await.map_err(about_signal)? {
        let found = queue.jobs().get_in(&mut tx, id).await?.ok_or_else(not_found)?;
        let state = <&str>::from(found.job.state);
        let advice = if found.job.state == JobState::Dead { ": redrive it first" } else { "" };
        let detail = format!("The job is {state} and receives no signal any more{advice}.");
        return Err(Problem::new(ProblemKind::WrongState, detail).into());
    }
    let answer = SentSignal { id, signal: name };
    let response = producer.answer(&mut tx, StatusCode::CREATED, None, &answer).await?;
    tx.commit().await?;
    Ok(response)
}

/// A job with too many of them is not a fault of the server.
fn about_signal(error: QueueError) -> Failure {
    match &error {
        QueueError::Ledger(sqlx::Error::Database(refused)) if refused.code().as_deref() == Some("54000") => {
            let detail = "The job has 1,000 signals that it has not waited for, and takes no more.";
            Problem::new(ProblemKind::WrongState, detail).into()
        }
        _ => error.into(),
    }
}
