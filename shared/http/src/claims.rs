//! `POST /v1/work/claims`: jobs for a worker.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use axum::response::{IntoResponse, Response};
use gristmill_queue::{
    Backoff, Cause,
    remote::{MAX_CLAIM, MAX_WAIT, Received, RemoteClaim, RemoteDelivery, RemoteWorker},
};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    json::Body,
    problem::{FieldError, Problem, Result, fault},
    request::Worker,
};

/// Says that the worker is to take no more jobs.
const DRAIN: HeaderName = HeaderName::from_static("gristmill-drain");
/// The longest name of a worker, a queue or a job, in characters.
pub const MAX_NAME: usize = 200;

/// What a worker wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimRequest {
    /// The worker's name, in the list of workers and in the history of its jobs. Each process needs its own.
    #[schema(min_length = 1, max_length = 200, example = "py-7")]
    worker: String,
    /// Its queues, and how many more jobs of each it has room for: 500 in all are given at most.
    #[schema(example = json!({ "mail": 8 }))]
    queues: BTreeMap<String, u32>,
    /// The jobs that it can run: it is given no others.
    #[schema(min_items = 1, example = json!(["thumb", "mail.send"]))]
    names: Vec<String>,
    /// How long to wait for a job where none is there, in milliseconds. As soon as there is one, the answer comes.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 60_000, example = 20_000)]
    wait_ms: u64,
    /// What it is written in, for the list of workers.
    #[schema(min_length = 1, max_length = 200, example = "python")]
    language: Option<String>,
    /// Its version, for the list of workers.
    #[schema(min_length = 1, max_length = 200)]
    version: Option<String>,
    /// The host that it runs on, for the list of workers.
    #[schema(min_length = 1, max_length = 200)]
    host: Option<String>,
    /// Its process there, for the list of workers.
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_u64)]
    pid: Option<u32>,
}

/// A job to be run: a line of the answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Delivery<'a> {
    /// The job.
    id: Uuid,
    /// Which delivery of it this is: report it as it is. Another delivery of the job has another number.
    delivery: u64,
    /// The queue that it came from.
    queue: &'a str,
    /// What it does.
    name: &'a str,
    /// The number of this attempt, from 1.
    attempt: u32,
    /// The number of the last attempt.
    max_attempts: u32,
    /// What it is given.
    #[schema(value_type = serde_json::Value)]
    payload: &'a RawValue,
    /// The shape of the payload, where its producer counts these.
    version: u16,
    /// The client that it was enqueued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<i32>,
    /// The W3C trace that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    /// How long an attempt may take, where its producer said so: a worker stops it then, and reports it as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// How long it waits between attempts, where its producer said so: leave `retry_in` out then.
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Backoff>,
    /// The tick of a schedule that enqueued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<Tick<'a>>,
    /// How long it is the worker's without a report: send one three times in it.
    lease_ms: u64,
    /// How far a delivery before this one came, where it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    cursor: Option<&'a RawValue>,
    /// Steps that are done, with what they came to: they are not done again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    steps: &'a BTreeMap<String, Box<RawValue>>,
    /// Sleeps that are over, by their numbers.
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    slept: &'a [u32],
    /// Waits that are over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    received: Vec<ReceivedSignal<'a>>,
}

/// A wait for a signal that is over.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReceivedSignal<'a> {
    /// The signal.
    signal: &'a str,
    /// Which wait for it, from 1.
    n: u32,
    /// It was not sent in the time.
    timed_out: bool,
    /// What was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<&'a RawValue>,
}

/// A tick of a schedule.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveredTick)]
pub(crate) struct Tick<'a> {
    /// The schedule.
    schedule: &'a str,
    /// When it was to be: a report of "yesterday" is of the day before it, however late it runs.
    at: Timestamp,
    /// Why it is there.
    #[schema(value_type = String, example = "due")]
    cause: Cause,
}

/// Claim jobs
///
/// Waits until there is a job, and gives as many as there are, a line of JSON each; no line: there was none in the time. Each is
/// the worker's for `lease_ms`, and as long again with each report that names it. One that is not reported in time is given to
/// another worker. The header `gristmill-drain: true` says that the worker is to take no more jobs: then it is given none.
#[utoipa::path(post, path = "/v1/work/claims", operation_id = "claimJobs", tag = "work", request_body = ClaimRequest,
    responses((status = 200, description = "A line for each job", body = Delivery, content_type = "application/x-ndjson")))]
pub(crate) async fn claim(worker: Worker, Body(body): Body<ClaimRequest>) -> Result<Response> {
    let ClaimRequest { worker: name, queues, names, wait_ms, language, version, host, pid } = body;
    let about = RemoteWorker { name, language, version, host, pid };
    let mut errors = worker_errors(&about);
    let mut queue_names = queues.keys();
    if queues.is_empty() {
        errors.push(FieldError::new("queues", "names no queue: send each with the room for it, as in {\"mail\": 8}"));
    }
    errors.extend(queue_names.by_ref().filter_map(|queue| name_error(&format!("queues.{queue}"), queue)));
    let room: u64 = queues.values().map(|room| u64::from(*room)).sum();
    if room > MAX_CLAIM as u64 {
        errors.push(FieldError::new(
            "queues",
            format!("have room for {room} jobs in all; {MAX_CLAIM} are given at most"),
        ));
    }
    if names.is_empty() {
        errors.push(FieldError::new("names", "names no job: list those that the worker can run"));
    }
    errors.extend(names.iter().enumerate().filter_map(|(n, name)| name_error(&format!("names[{n}]"), name)));
    if wait_ms > millis(MAX_WAIT) {
        errors.push(FieldError::new("wait_ms", format!("is {wait_ms}; {} is the longest wait", millis(MAX_WAIT))));
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors).into());
    }
    let queues = queues.into_iter().map(|(queue, room)| (queue, room as usize)).collect();
    let wanted = RemoteClaim { worker: about, queues, names, wait: Duration::from_millis(wait_ms) };
    let jobs = worker.http.remote().claim(wanted).await?;
    let mut lines = String::new();
    for job in &jobs.deliveries {
        let line = serde_json::to_string(&Delivery::of(job, jobs.lease)).map_err(fault)?;
        let _ = writeln!(lines, "{line}");
    }
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response();
    if jobs.drain {
        response.headers_mut().insert(DRAIN, HeaderValue::from_static("true"));
    }
    Ok(response)
}

impl<'a> Delivery<'a> {
    fn of(job: &'a RemoteDelivery, lease: Duration) -> Self {
        Self {
            id: job.ticket.id.get(),
            delivery: job.ticket.delivery,
            queue: &job.queue,
            name: &job.name,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            payload: &job.payload,
            version: job.version,
            client_id: job.client_id.map(gristmill_queue::ClientId::get),
            traceparent: job.trace_parent.as_deref(),
            timeout_ms: job.timeout.map(millis),
            backoff: job.backoff,
            tick: job.tick.as_ref().map(|(schedule, tick)| Tick { schedule, at: tick.fire_at, cause: tick.cause }),
            lease_ms: millis(lease),
            cursor: job.resume.cursor.as_deref(),
            steps: &job.resume.steps,
            slept: &job.resume.slept,
            received: job.resume.received.iter().map(ReceivedSignal::of).collect(),
        }
    }
}

impl<'a> ReceivedSignal<'a> {
    fn of(received: &'a Received) -> Self {
        let payload = received.payload.as_deref();
        Self { signal: &received.signal, n: received.n, timed_out: payload.is_none(), payload }
    }
}

/// What is wrong with what a worker says of itself.
pub(crate) fn worker_errors(worker: &RemoteWorker) -> Vec<FieldError> {
    let RemoteWorker { name, language, version, host, .. } = worker;
    let others = [("language", language), ("version", version), ("host", host)];
    let others = others.into_iter().filter_map(|(field, text)| name_error(field, text.as_deref()?));
    name_error("worker", name).into_iter().chain(others).collect()
}

/// What is wrong with a name.
pub(crate) fn name_error(field: &str, name: &str) -> Option<FieldError> {
    text_error(field, name, MAX_NAME)
}

/// What is wrong with a text of 1 to `max` characters.
pub(crate) fn text_error(field: &str, text: &str, max: usize) -> Option<FieldError> {
    let length = text.chars().count();
    if length == 0 || length > max {
        return Some(FieldError::new(field, format!("has {length} characters; 1 to {max} are allowed")));
    }
    text.contains('\0').then(|| FieldError::new(field, "has a NUL character in it: leave it out"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
