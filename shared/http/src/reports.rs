//! `POST /v1/work/reports`: what a worker has to say.

use axum::Json;
use gristmill_queue::{
    JobId, LogLevel, LogLine, Progress,
    remote::{RemoteFailure, RemoteReport, RemoteSleep, RemoteStep, RemoteWait, RemoteWorker, Ticket},
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    claims::{name_error, worker_errors},
    json::Body,
    problem::{FieldError, Problem, Result},
    request::Worker,
    time_span::TimeSpan,
};

/// Jobs that one report may speak of.
const MAX_ENTRIES: usize = 10_000;

/// What a worker holds, has done, and what has failed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportRequest {
    /// The worker's name, as in its claims.
    #[schema(min_length = 1, max_length = 200, example = "py-7")]
    worker: String,
    /// What it goes on with, each as `[id, delivery]`: their leases begin anew.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<serde_json::Value>>, example = json!([["019a4b1e-9d02-7b41-8e6f-2c7d90a1b3e4", 1]]))]
    held: Vec<(Uuid, u64)>,
    /// What it has done.
    #[serde(default)]
    done: Vec<Done>,
    /// Attempts that have failed.
    #[serde(default)]
    failed: Vec<Failed>,
    /// What is to come again later. It counts as no attempt.
    #[serde(default)]
    snoozed: Vec<Snoozed>,
    /// What other workers may begin at once, each as `[id, delivery]`: of a worker that stops. It counts as no attempt.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    released: Vec<(Uuid, u64)>,
    /// How far it is.
    #[serde(default)]
    progress: Vec<Progressed>,
    /// What it says of what it goes on with or ends here: kept with the attempt, 500 lines and 64 KiB of it, the last ones.
    #[serde(default)]
    logs: Vec<Logged>,
    /// Steps of it that are done: recorded with the answer, and in each further delivery of the job.
    #[serde(default)]
    steps: Vec<StepDone>,
    /// How far it is: the next delivery of the job has it.
    #[serde(default)]
    cursor: Vec<Cursor>,
    /// What sleeps: it comes again after a time. It counts as no attempt.
    #[serde(default)]
    sleeping: Vec<Sleeping>,
    /// What waits for a signal: it comes again when that is sent, or after a time. It counts as no attempt.
    #[serde(default)]
    waiting: Vec<Waiting>,
    /// The worker ends: it leaves the list of workers at once, and a claim of it that still waits ends with no job.
    #[serde(default)]
    leaving: bool,
    /// As in its claims.
    #[schema(min_length = 1, max_length = 200)]
    language: Option<String>,
    /// As in its claims.
    #[schema(min_length = 1, max_length = 200)]
    version: Option<String>,
    /// As in its claims.
    #[schema(min_length = 1, max_length = 200)]
    host: Option<String>,
    /// As in its claims.
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_u64)]
    pid: Option<u32>,
}

/// A job that is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// What came of it: 16 KiB of JSON at most, kept as long as the job.
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
}

/// An attempt that has failed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failed {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// Why, for people: the first 4,000 characters are kept.
    error: String,
    /// Until the next attempt, if there is one; else the queue's backoff, which doubles each time.
    retry_in: Option<TimeSpan>,
    /// No other attempt can succeed: the job is dead at once.
    #[serde(default)]
    discard: bool,
    /// It has stopped because the answer to a report said so under `cancel`.
    #[serde(default)]
    cancelled: bool,
}

/// A job that is to come again later.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snoozed {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// After this long.
    delay: TimeSpan,
}

/// How far a job is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progressed {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// Units done.
    #[serde(deserialize_with = "whole")]
    done: u64,
    /// Units there are.
    #[serde(deserialize_with = "whole")]
    total: u64,
}

/// A step that is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepDone {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// Its name: a job has each once, and the first result of it counts.
    #[schema(min_length = 1, max_length = 200, example = "charge")]
    name: String,
    /// What it came to: 16 KiB of JSON at most.
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
}

/// How far a job is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// Where the next delivery is to go on: 16 KiB of JSON at most.
    #[schema(value_type = serde_json::Value)]
    cursor: Box<RawValue>,
}

/// A job that sleeps.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sleeping {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// Which sleep of the job it is, from 1. One that was begun before goes on.
    #[serde(default = "first")]
    #[schema(minimum = 1, default = 1)]
    #[schema(value_type = u64, maximum = 4_294_967_295_u64)]
    n: u32,
    /// How long it is.
    delay: TimeSpan,
}

/// A job that waits for a signal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// The signal.
    #[schema(min_length = 1, max_length = 200, example = "approved")]
    signal: String,
    /// Which wait of the job for this signal it is, from 1. One that was begun before goes on.
    #[serde(default = "first")]
    #[schema(minimum = 1, default = 1)]
    #[schema(value_type = u64, maximum = 4_294_967_295_u64)]
    n: u32,
    /// How long it waits at most.
    timeout: TimeSpan,
}

fn first() -> u32 {
    1
}

/// A line for an attempt's log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logged {
    /// The job.
    id: Uuid,
    /// Its delivery.
    #[serde(deserialize_with = "whole")]
    delivery: u64,
    /// What was said: the first 4,000 characters are kept.
    message: String,
    /// How much it matters.
    #[serde(default)]
    level: LogLevel,
    /// When it was said; now, unless given. A report that is sent again with the same time adds nothing.
    at: Option<Timestamp>,
}

/// What a worker is told.
#[derive(Serialize, ToSchema)]
pub(crate) struct Orders {
    /// Not the worker's any more: stop them. What the report said of them changed nothing.
    #[schema(value_type = Vec<Uuid>)]
    lost: Vec<JobId>,
    /// These are not wanted any more: stop them, and report them as failed with `"cancelled": true`. After five seconds they are
    /// lost.
    #[schema(value_type = Vec<Uuid>)]
    cancel: Vec<JobId>,
    /// The worker is to take no more jobs, and to finish those that it has.
    drain: bool,
    /// Done, but with a result that cannot be kept: these attempts have failed. Or with a step or a cursor that cannot be kept: it
    /// was not.
    refused: Vec<Refused>,
}

/// A job whose result cannot be kept.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedResult)]
pub(crate) struct Refused {
    /// The job.
    #[schema(value_type = Uuid)]
    id: JobId,
    /// Why.
    error: String,
}

/// Report jobs
///
/// Heartbeat, renewal of leases, completions and failures at once. Send one at least three times within `lease_ms`, also while
/// claims wait, and whenever something has ended. It is safe to send again: what it has done already it does not do twice.
#[utoipa::path(post, path = "/v1/work/reports", operation_id = "reportJobs", tag = "work", request_body = ReportRequest,
    responses((status = 200, description = "What the worker is to do", body = Orders)))]
pub(crate) async fn report(worker: Worker, Body(body): Body<ReportRequest>) -> Result<Json<Orders>> {
    let ReportRequest { worker: name, language, version, host, pid, .. } = &body;
    let about = RemoteWorker {
        name: name.clone(),
        language: language.clone(),
        version: version.clone(),
        host: host.clone(),
        pid: *pid,
    };
    let mut errors = worker_errors(&about);
    let entries = body.held.len() + body.done.len() + body.failed.len() + body.snoozed.len() + body.released.len();
    let entries = entries + body.steps.len() + body.cursor.len() + body.sleeping.len() + body.waiting.len();
    let step = |(n, step): (usize, &StepDone)| name_error(&format!("steps[{n}].name"), &step.name);
    errors.extend(body.steps.iter().enumerate().filter_map(step));
    let signal = |(n, wait): (usize, &Waiting)| name_error(&format!("waiting[{n}].signal"), &wait.signal);
    errors.extend(body.waiting.iter().enumerate().filter_map(signal));
    let numbers = body.sleeping.iter().enumerate().map(|(n, sleep)| (format!("sleeping[{n}].n"), sleep.n));
    let numbers = numbers.chain(body.waiting.iter().enumerate().map(|(n, wait)| (format!("waiting[{n}].n"), wait.n)));
    errors.extend(numbers.filter(|(_, n)| *n == 0).map(|(field, _)| FieldError::new(field, "is 0; the first is 1")));
    if entries.max(body.progress.len()).max(body.logs.len()) > MAX_ENTRIES {
        errors.push(FieldError::new("held", format!("the report has more than {MAX_ENTRIES} entries: send several")));
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors).into());
    }
    let report = RemoteReport {
        worker: about,
        held: body.held.into_iter().map(ticket).collect(),
        done: body.done.into_iter().map(|done| (ticket((done.id, done.delivery)), text(done.result))).collect(),
        failed: body.failed.into_iter().map(Failed::failure).collect(),
        snoozed: body.snoozed.into_iter().map(|job| (ticket((job.id, job.delivery)), job.delay.0)).collect(),
        released: body.released.into_iter().map(ticket).collect(),
        progress: body.progress.into_iter().map(Progressed::progress).collect(),
        logs: body.logs.into_iter().map(Logged::line).collect(),
        steps: body.steps.into_iter().map(StepDone::step).collect(),
        cursors: body.cursor.into_iter().map(|it| (ticket((it.id, it.delivery)), json(it.cursor))).collect(),
        sleeping: body.sleeping.into_iter().map(Sleeping::sleep).collect(),
        waiting: body.waiting.into_iter().map(Waiting::wait).collect(),
        leaving: body.leaving,
    };
    let orders = worker.http.remote().report(report).await?;
    Ok(Json(Orders {
        lost: orders.lost,
        cancel: orders.cancel,
        drain: orders.drain,
        refused: orders.refused.into_iter().map(|(id, error)| Refused { id, error }).collect(),
    }))
}

/// As the document has it: a number of 63 bits.
fn whole<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u64, D::Error> {
    let number = u64::deserialize(from)?;
    let bounds = "a whole number from 0 to 9223372036854775807";
    let refused = || de::Error::invalid_value(de::Unexpected::Unsigned(number), &bounds);
    i64::try_from(number).map_err(|_| refused()).map(i64::cast_unsigned)
}

fn ticket((id, delivery): (Uuid, u64)) -> Ticket {
    Ticket { id: id.into(), delivery }
}

fn text(result: Option<Box<RawValue>>) -> Option<String> {
    result.map(json)
}

fn json(value: Box<RawValue>) -> String {
    Box::<str>::from(value).into_string()
}

impl StepDone {
    fn step(self) -> RemoteStep {
        let result = text(self.result).unwrap_or_else(|| "null".to_owned());
        RemoteStep { ticket: ticket((self.id, self.delivery)), name: self.name, result }
    }
}

impl Sleeping {
    fn sleep(self) -> RemoteSleep {
        RemoteSleep { ticket: ticket((self.id, self.delivery)), n: self.n, time: self.delay.0 }
    }
}

impl Waiting {
    fn wait(self) -> RemoteWait {
        let Self { id, delivery, signal, n, timeout } = self;
        RemoteWait { ticket: ticket((id, delivery)), signal, n, timeout: timeout.0 }
    }
}

impl Failed {
    fn failure(self) -> RemoteFailure {
        RemoteFailure {
            ticket: ticket((self.id, self.delivery)),
            error: self.error,
            retry_in: self.retry_in.map(|span| span.0),
            discard: self.discard,
            cancelled: self.cancelled,
        }
    }
}

impl Logged {
    fn line(self) -> (Ticket, LogLine) {
        let at = self.at.unwrap_or_else(Timestamp::now);
        (ticket((self.id, self.delivery)), LogLine::new(at, self.level, &self.message))
    }
}

impl Progressed {
    fn progress(self) -> (Ticket, Progress) {
        (ticket((self.id, self.delivery)), Progress { done: self.done, total: self.total })
    }
}
