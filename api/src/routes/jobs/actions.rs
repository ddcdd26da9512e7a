//! What is done to jobs: to one, or to all that meet a filter.

use std::time::{Duration, Instant};

use axum::{Json, extract::State};
use gristmill_kinds::{Owner, owner};
use gristmill_queue::{ActionPlace, ActionProgress, BulkAction, JobAction, JobCount, JobFilter, JobId};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::{
    About, Filter, Job, Names, OneJob,
    change::{Retry, retry_with},
};
use crate::{
    app::AppState,
    auth::Caller,
    idempotency::Once,
    json::{Body, Options},
    openapi::{Absent, NotNow, NotOperator},
    problem::{Code, Problem, Result},
};

/// An action that takes longer says where it goes on.
const ACTION_DEADLINE: Duration = Duration::from_secs(4);
/// Jobs that a dry run shows.
const SAMPLE: u16 = 5;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobActionName)]
pub(crate) enum Action {
    /// Those that wait are cancelled, those that run are told to stop.
    Cancel,
    /// Those that are dead or parked (or cancelled, when the filter names that state) run again.
    Redrive,
    /// Those that are dead or parked are given up: cancelled, their errors kept.
    Discard,
}

/// What to do to which jobs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionRequest {
    action: Action,
    /// To which: at least one condition.
    #[serde(default)]
    filter: Filter,
    /// To these, as `ids` of the filter.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>)]
    ids: Vec<JobId>,
    /// Of a redrive: at most so many start a second. All at once unless given.
    per_second: Option<f64>,
    /// Do nothing, and say what it would be done to.
    #[serde(default)]
    dry_run: bool,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActionAnswer {
    action: Action,
    dry_run: bool,
    /// Of a dry run: how many jobs it would be done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<JobCount>,
    /// Of a dry run: the newest of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sample: Vec<Job>,
    /// Jobs that are what was wanted now.
    changed: u64,
    /// Running jobs that were asked to stop: they are cancelled when they have.
    requested: u64,
    /// It was not finished within seconds: send the same with this as `cursor`; null when it is.
    next_cursor: Option<String>,
}

/// Cancel, redrive or discard jobs that match a filter
///
/// A `dry_run` counts them first. Jobs of which nothing of the kind can be done are passed over, and so are those that
/// an upload still needs, when jobs are cancelled or given up: `DELETE /v1/uploads/{id}` ends an upload. A large number takes
/// more than one request: repeat it with `next_cursor` until that is null.
#[utoipa::path(post, path = "/v1/jobs/actions", operation_id = "actOnJobs", tag = "jobs", request_body = ActionRequest,
    responses((status = 200, description = "It is done, or its first part is", body = ActionAnswer), NotOperator, Absent))]
pub(crate) async fn act(
    State(app): State<AppState>,
    caller: Caller,
    once: Once,
    Body(request): Body<ActionRequest>,
) -> Result<Json<ActionAnswer>> {
    let ActionRequest { action, mut filter, ids, per_second, dry_run, cursor } = request;
    filter.ids.extend(ids);
    if filter.is_empty() {
        let detail = "names no condition; to act on every job, name all of the states";
        return Err(Problem::bad_field("filter", detail));
    }
    if per_second.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Problem::bad_field("per_second", "is not more than 0"));
    }
    let from = match cursor.map(|cursor| cursor.parse::<ActionPlace>()).transpose() {
        Ok(from) => from,
        Err(_) => return Err(Problem::bad_field("cursor", "not a cursor of an action: pass `next_cursor` as it came")),
    };
    let what = action.with(per_second);
    let filter = owner::exclude_owned(what, filter.seen_by(&caller, &app.pool).await?);
    let mut answer = ActionAnswer {
        action,
        dry_run,
        matched: None,
        sample: Vec::new(),
        changed: 0,
        requested: 0,
        next_cursor: None,
    };
    if !dry_run {
        return at_once(acted(app, what, filter, from, once, answer)).await.map(Json);
    }
    let jobs = app.queue.jobs();
    answer.matched = Some(JobCount { jobs: 0, exact: true });
    if let Some(aim) = what.aim(&filter) {
        answer.matched = Some(jobs.count(&aim).await?);
        let page = jobs.list(&aim, None, SAMPLE).await?;
        let names = Names::of(&app.pool, page.jobs.iter().map(|job| job.client_id)).await?;
        answer.sample = page.jobs.into_iter().map(|job| names.job(job)).collect();
    }
    Ok(Json(answer))
}

/// Acts for some seconds. Each transaction keeps the answer as it is by then, with the place to go on: sent again after a death,
/// the request says how far it came.
async fn acted(
    app: AppState,
    action: JobAction,
    filter: JobFilter,
    from: Option<ActionPlace>,
    once: Once,
    mut answer: ActionAnswer,
) -> Result<ActionAnswer> {
    let started = Instant::now();
    let mut tx = app.pool.begin().await?;
    let mut acting = app.queue.jobs().begin(&mut tx, action, &filter, from).await?;
    tx.commit().await?;
    while !acting.is_over() {
        let mut tx = app.pool.begin().await?;
        let some = acting.step(&mut tx).await?;
        answer.is_now(acting.acted());
        if some {
            once.keep_so_far(&mut tx, &answer).await?;
        }
        tx.commit().await?;
        acting.committed().await;
        if started.elapsed() >= ACTION_DEADLINE && acting.may_stop() {
            break;
        }
    }
    Ok(answer)
}

/// Cancel a job
///
/// One that waits is cancelled at once; one that runs is asked to stop and cancelled when it has: `cancel_requested_at` says so.
/// (What an upload or a billing run still needs is cancelled with it: `DELETE /v1/uploads/{id}`, `/v1/billing-runs/{id}`.)
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", operation_id = "cancelJob", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "The job as it is now", body = OneJob), NotNow))]
pub(crate) async fn cancel(about: About, once: Once) -> Result<Json<OneJob>> {
    one(about, Action::Cancel, once).await
}

/// Run a job again that did not succeed
///
/// With all its attempts before it, and its history kept; an operator may give it another payload. A finished group of it is
/// open again, and its join comes again.
#[utoipa::path(post, path = "/v1/jobs/{id}/redrive", operation_id = "redriveJob", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    request_body(content = Retry, description = "None is needed"),
    responses((status = 200, description = "The job as it is now", body = OneJob), NotOperator, NotNow))]
pub(crate) async fn redrive(about: About, once: Once, Options(body): Options<Retry>) -> Result<Json<OneJob>> {
    match body.payload {
        Some(payload) => retry_with(about, payload, once).await,
        None => one(about, Action::Redrive, once).await,
    }
}

/// Discard a job that did not succeed
///
/// It is cancelled, its error kept, and waits for no decision any more. (What an upload or a billing
/// run still needs is not: `DELETE /v1/uploads/{id}` or `/v1/billing-runs/{id}` ends it.)
#[utoipa::path(post, path = "/v1/jobs/{id}/discard", operation_id = "discardJob", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "The job as it is now", body = OneJob), NotNow))]
pub(crate) async fn discard(about: About, once: Once) -> Result<Json<OneJob>> {
    one(about, Action::Discard, once).await
}

async fn one(about: About, action: Action, once: Once) -> Result<Json<OneJob>> {
    let mut conn = about.app.pool.acquire().await?;
    let found = about.find(&mut conn).await?;
    if let Some(owner) = Owner::of_job(&found).filter(|_| owner::is_terminating(action.with(None))) {
        let detail = format!(
            "The job is {owner}'s, which cannot do without it: {} ends that, and a job of it that has failed can run again.",
            owner.end()
        );
        return Err(Problem::new(Code::WrongState, detail).about(owner.upload()));
    }
    let job = found.job;
    // Of one job its state is no condition: a cancelled one, too, may run again.
    let filter = JobFilter { states: vec![job.state], ..JobFilter::ids([job.id]) };
    let acting = about.app.queue.jobs().begin(&mut conn, action.with(None), &filter, None).await?;
    drop(conn);
    if let Some(now) = at_once(acted_on(about, acting, once)).await? {
        return Ok(Json(now));
    }
    let detail = match action {
        Action::Cancel => "only what waits or runs can be cancelled",
        Action::Redrive => {
            "only what is dead, parked or cancelled can run again, while its group is not stopping and no other job has its unique key"
        }
        Action::Discard => "only what is dead or parked can be given up",
    };
    Err(Problem::new(Code::WrongState, format!("The job is {}: {detail}.", job.state)))
}

/// The job as it is afterwards, kept in each transaction; none: nothing of the kind can be done to it.
async fn acted_on(about: About, mut acting: BulkAction, once: Once) -> Result<Option<OneJob>> {
    let mut now = None;
    while !acting.is_over() {
        let mut tx = about.app.pool.begin().await?;
        if acting.step(&mut tx).await? {
            let shown = about.show(&mut tx).await?;
            once.keep_so_far(&mut tx, &shown).await?;
            now = Some(shown);
        }
        tx.commit().await?;
        acting.committed().await;
    }
    Ok(now)
}

/// On a task of its own: once begun it is finished, even if the client hangs up.
async fn at_once<T: Send + 'static>(action: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(action.in_current_span()).await.map_err(Problem::internal)?
}

impl ActionAnswer {
    fn is_now(&mut self, acted: ActionProgress) {
        (self.changed, self.requested) = (acted.changed, acted.requested);
        self.next_cursor = acted.next.map(|next| next.to_string());
    }
}

impl Action {
    fn with(self, per_second: Option<f64>) -> JobAction {
        match self {
            Self::Cancel => JobAction::Cancel,
            Self::Redrive => JobAction::Redrive { per_second },
            Self::Discard => JobAction::Discard,
        }
    }
}
