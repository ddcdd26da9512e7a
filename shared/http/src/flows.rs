//! `POST /v1/flows`: stages of jobs that wait for each other.

use axum::response::Response;
use gristmill_queue::{AfterFailure, EnqueuedFlow, Flow, FlowError, GroupId, JobId, MAX_STAGES, QueueError, Stage};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    batch::MAX_BATCH,
    claims::name_error,
    groups::{Join, Policy},
    jobs::JobBody,
    json::Body,
    problem::{Failure, FieldError, Problem, ProblemKind, Result},
    request::Producer,
};

/// Errors that one answer lists.
const MAX_ERRORS: usize = 20;

/// A flow to be enqueued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewFlow)]
pub(crate) struct FlowBody {
    /// For people.
    #[schema(max_length = 200, example = "import")]
    name: Option<String>,
    /// The job that is enqueued when all stages have ended, and none has failed.
    on_complete: Option<Join>,
    /// The job that is enqueued instead when one has.
    on_failure: Option<Join>,
    /// The group around it, of which it is a member.
    parent: Option<Uuid>,
    /// Its stages, with 10,000 jobs at most.
    #[schema(min_items = 1, max_items = 500)]
    stages: Vec<StageBody>,
}

/// Jobs that begin together, when all stages that they wait for have ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewStage)]
struct StageBody {
    /// No two of a flow are called the same.
    #[schema(min_length = 1, max_length = 200, example = "load")]
    name: String,
    /// The stages that it waits for, by their names. No stage waits for itself, at whatever distance.
    #[serde(default)]
    #[schema(max_items = 500)]
    after: Vec<String>,
    /// What it does when one of these has failed, or was cancelled. It is cancelled unless given.
    #[serde(default)]
    after_failure: AfterFailure,
    /// What a failed job does to the others of the stage.
    #[serde(default)]
    policy: Policy,
    /// Its jobs, without `group` and `unique_key`. A `delay` counts from when the stage begins.
    #[schema(min_items = 1, max_items = 10_000)]
    jobs: Vec<JobBody>,
}

/// A new flow.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnqueuedFlowBody {
    /// The group that it is: `GET /v1/groups/{id}` tells its stages.
    #[schema(value_type = Uuid)]
    id: GroupId,
    /// Its stages, in their order.
    stages: Vec<EnqueuedStage>,
}

/// A stage of a new flow.
#[derive(Serialize, ToSchema)]
struct EnqueuedStage {
    /// Its name.
    name: String,
    /// The group that it is.
    #[schema(value_type = Uuid)]
    id: GroupId,
    /// Its jobs, in their order.
    #[schema(value_type = Vec<Uuid>)]
    jobs: Vec<JobId>,
}

/// Enqueue a flow
///
/// All of its stages and jobs in one transaction, or nothing. A stage that waits for others begins milliseconds after the last of them
/// has ended. `GET /v1/jobs/{id}/members` tells its jobs what those before came to.
#[utoipa::path(post, path = "/v1/flows", operation_id = "createFlow", tag = "groups", request_body = FlowBody,
    responses((status = 201, description = "It is enqueued", body = EnqueuedFlowBody)))]
pub(crate) async fn create(producer: Producer, Body(body): Body<FlowBody>) -> Result<Response> {
    let (flow, names) = body.flow(producer.trace_parent())?;
    let queue = producer.http.queue();
    let mut tx = queue.pool().begin().await?;
    let mut enqueued = queue.enqueue_flow(&mut tx, &flow).await.map_err(failure)?;
    let location = format!("/v1/groups/{}", enqueued.id());
    let answer = EnqueuedFlowBody::of(&enqueued, names);
    let response = producer.answer(&mut tx, StatusCode::CREATED, Some(&location), &answer).await?;
    tx.commit().await?;
    // Of ten thousand jobs the client need not wait for the hand-over: they are in the ledger.
    let queue = queue.clone();
    tokio::spawn(async move { queue.push(enqueued.take_enqueued()).await });
    Ok(response)
}

impl FlowBody {
    /// The flow, and the name of each stage with the number of its jobs.
    fn flow(self, trace_parent: Option<String>) -> Result<(Flow, Vec<(String, usize)>)> {
        let Self { name, on_complete, on_failure, parent, stages } = self;
        let mut errors: Vec<FieldError> = name.as_ref().and_then(|name| name_error("name", name)).into_iter().collect();
        let mut flow = Flow::new();
        if let Some(job) = on_complete.and_then(|join| join.spec("on_complete", &mut errors)) {
            flow = flow.on_complete(job);
        }
        if let Some(job) = on_failure.and_then(|join| join.spec("on_failure", &mut errors)) {
            flow = flow.on_failure(job);
        }
        if let Some(name) = name {
            flow = flow.name(name);
        }
        if let Some(parent) = parent {
            flow = flow.inside(parent.into());
        }
        if stages.len() > MAX_STAGES {
            errors.push(FieldError::new("stages", format!("are {}; {MAX_STAGES} are allowed", stages.len())));
        }
        let jobs: usize = stages.iter().map(|stage| stage.jobs.len()).sum();
        if jobs > MAX_BATCH {
            let detail = format!("The flow has {jobs} jobs; {MAX_BATCH} are the most.");
            return Err(Problem::new(ProblemKind::BodyTooLarge, detail).into());
        }
        let mut names = Vec::with_capacity(stages.len());
        for (n, body) in stages.into_iter().enumerate() {
            names.push((body.name.clone(), body.jobs.len()));
            flow = flow.stage(body.stage(n, trace_parent.as_ref(), &mut errors));
            if errors.len() >= MAX_ERRORS {
                break;
            }
        }
        if errors.is_empty() { Ok((flow, names)) } else { Err(Problem::fields(errors).into()) }
    }
}

impl StageBody {
    fn stage(self, n: usize, trace_parent: Option<&String>, errors: &mut Vec<FieldError>) -> Stage {
        let Self { name, after, after_failure, policy, jobs } = self;
        errors.extend(name_error(&format!("stages[{n}].name"), &name));
        let mut stage = Stage::new(name).after(after).after_failure(after_failure).policy(policy.into());
        for (at, job) in jobs.into_iter().enumerate() {
            match job.job(trace_parent.cloned()) {
                Ok(job) => stage = stage.job(job),
                Err(found) => errors.extend(
                    found
                        .into_iter()
                        .map(|error| FieldError::new(format!("stages[{n}].jobs[{at}].{}", error.field), error.detail)),
                ),
            }
        }
        stage
    }
}

impl EnqueuedFlowBody {
    fn of(enqueued: &EnqueuedFlow, names: Vec<(String, usize)>) -> Self {
        let mut jobs = enqueued.jobs().iter().copied();
        let stages = enqueued.stages().iter().zip(names);
        let stages =
            stages.map(|(id, (name, n))| EnqueuedStage { name, id: *id, jobs: jobs.by_ref().take(n).collect() });
        Self { id: enqueued.id(), stages: stages.collect() }
    }
}

/// The answer to a flow that the queue does not take.
fn failure(error: FlowError) -> Failure {
    match error {
        FlowError::Queue(error) => error.into(),
        FlowError::Job {
            error: error @ (QueueError::Payload { .. } | QueueError::Nul(_) | QueueError::LongKey(_)),
            stage,
            job,
        } => Problem::field("stages", format!("job {job} of stage `{stage}`: {error}")).into(),
        FlowError::Job { error, .. } => error.into(),
        error => Problem::field("stages", error).into(),
    }
}
