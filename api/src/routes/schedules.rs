//! `/v1/schedules`: jobs by the clock.

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use gristmill_queue::{
    CatchUp, JobSpec, NewSchedule, Overlap, QueueError, ScheduleError, ScheduleView, Schedules, TickView,
};
use http::{StatusCode, Uri, request::Parts};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState,
    auth::Operator,
    cursor,
    idempotency::Once,
    json::Body,
    openapi::NotOperator,
    params::{Named, Params},
    problem::{Problem, Result},
};

/// All schedules, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScheduleList {
    items: Vec<ScheduleView>,
}

/// A page of ticks, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TickList {
    items: Vec<TickView>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What a schedule is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleBody {
    /// `minute hour day month weekday`, with a field for seconds before them if wanted, or `@daily` and the like. It, or `at`.
    #[schema(example = "*/10 * * * *")]
    cron: Option<String>,
    /// In place of `cron`: it fires once, at this time.
    at: Option<Timestamp>,
    /// Whose clocks count: a name of the IANA database. UTC unless given.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: Option<String>,
    /// What becomes of ticks that no scheduler was there for. The latest runs unless given.
    #[serde(default)]
    catch_up: CatchUp,
    /// What a tick does while the job of the one before has not ended. It fires unless given.
    #[serde(default)]
    overlap: Overlap,
    /// Jobs start up to this much later than the tick.
    #[serde(default)]
    #[schema(maximum = 86_400)]
    jitter_seconds: u32,
    /// No tick is before this time.
    starts_at: Option<Timestamp>,
    /// No tick is after this time: then the schedule is over.
    ends_at: Option<Timestamp>,
    /// What to do. The job `gristmill.redrive` of the queue `gristmill` runs dead jobs again: its payload has a `filter`,
    /// `per_second` and `max_rounds`, after which a job is left alone.
    job: JobSpec,
}

/// How many ticks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct TicksQuery {
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^t[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Every schedule
#[utoipa::path(get, path = "/v1/schedules", operation_id = "listSchedules", tag = "schedules",
    responses((status = 200, description = "All of them, by name", body = ScheduleList), NotOperator))]
pub(crate) async fn list(State(app): State<AppState>, _: Operator, uri: Uri) -> Result<Json<ScheduleList>> {
    Params::of(&uri).finish()?;
    let items = app.queue.schedules().list().await.map_err(problem)?;
    Ok(Json(ScheduleList { items }))
}

/// One schedule, with its next five ticks and its last one
#[utoipa::path(get, path = "/v1/schedules/{name}", operation_id = "getSchedule", tag = "schedules",
    params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, description = "The schedule", body = ScheduleView), NotOperator))]
pub(crate) async fn one(about: AboutSchedule) -> Result<Json<ScheduleView>> {
    about.schedules.get(&about.name).await.map(Json).map_err(problem)
}

/// What a schedule has fired and missed, newest first
#[utoipa::path(get, path = "/v1/schedules/{name}/ticks", operation_id = "listTicks", tag = "schedules",
    params(("name" = String, Path, description = "The schedule"), TicksQuery),
    responses((status = 200, description = "A page", body = TickList), NotOperator))]
pub(crate) async fn ticks(
    State(app): State<AppState>,
    _: Operator,
    Named(name): Named,
    uri: Uri,
) -> Result<Json<TickList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let before = query.take::<cursor::Ticks>("cursor").map(|cursor| {
        let micros = i64::try_from(cursor.number()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    });
    query.finish()?;
    let schedules = app.queue.schedules();
    let page = schedules.ticks(&name, before, u16::try_from(limit).unwrap_or(200)).await.map_err(problem)?;
    let next = |at: Timestamp| cursor::Ticks::of(u128::from(at.as_microsecond().unsigned_abs())).to_string();
    Ok(Json(TickList { items: page.ticks, next_cursor: page.next.map(next) }))
}

/// Create or replace a schedule
///
/// Takes effect within a second. Whether it is paused, and what it owes, stays; a new expression or bound owes nothing of the past.
/// One that fires once, or has an end, is over then: `ended` says so, and it is pruned with finished jobs.
#[utoipa::path(put, path = "/v1/schedules/{name}", operation_id = "putSchedule", tag = "schedules",
    params(("name" = String, Path, description = "Letters, digits and `. _ - :`, at most 100 of them")), request_body = ScheduleBody,
    responses((status = 200, description = "The schedule", body = ScheduleView), NotOperator))]
pub(crate) async fn put(about: AboutSchedule, Body(body): Body<ScheduleBody>) -> Result<Json<ScheduleView>> {
    let ScheduleBody { cron, at, time_zone, catch_up, overlap, jitter_seconds, starts_at, ends_at, job } = body;
    let new = match (cron, at) {
        (Some(cron), None) => NewSchedule::new(about.name, cron, job),
        (None, Some(at)) => NewSchedule::once(about.name, at, job),
        (Some(_), Some(_)) => return Err(Problem::bad_field("at", "is there beside `cron`: it fires by one of them")),
        (None, None) => return Err(Problem::bad_field("cron", "is not there, nor is `at`: when is it to fire?")),
    };
    let time_zone = time_zone.unwrap_or_else(|| "UTC".to_owned());
    let new = NewSchedule { time_zone, catch_up, overlap, jitter_seconds, starts_at, ends_at, ..new };
    about.schedules.put(&new).await.map(Json).map_err(problem)
}

/// Remove a schedule
///
/// Jobs that it has enqueued stay.
#[utoipa::path(delete, path = "/v1/schedules/{name}", operation_id = "deleteSchedule", tag = "schedules",
    params(("name" = String, Path, description = "The schedule")), responses((status = 204, description = "It is gone"), NotOperator))]
pub(crate) async fn delete(about: AboutSchedule) -> Result<StatusCode> {
    about.schedules.delete(&about.name).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pause a schedule
#[utoipa::path(post, path = "/v1/schedules/{name}/pause", operation_id = "pauseSchedule", tag = "schedules",
    params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, description = "The schedule as it is now", body = ScheduleView), NotOperator))]
pub(crate) async fn pause(State(app): State<AppState>, about: AboutSchedule, once: Once) -> Result<Json<ScheduleView>> {
    let mut tx = app.pool.begin().await?;
    let schedule = about.schedules.pause_in(&mut tx, &about.name).await.map_err(problem)?;
    once.keep(&mut tx, StatusCode::OK, None, &schedule).await?;
    tx.commit().await?;
    Ok(Json(schedule))
}

/// Resume a schedule
///
/// What would have fired meanwhile neither runs nor counts as missed.
#[utoipa::path(post, path = "/v1/schedules/{name}/resume", operation_id = "resumeSchedule", tag = "schedules",
    params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, description = "The schedule as it is now", body = ScheduleView), NotOperator))]
pub(crate) async fn resume(
    State(app): State<AppState>,
    about: AboutSchedule,
    once: Once,
) -> Result<Json<ScheduleView>> {
    let mut tx = app.pool.begin().await?;
    let schedule = about.schedules.resume_in(&mut tx, &about.name).await.map_err(problem)?;
    once.keep(&mut tx, StatusCode::OK, None, &schedule).await?;
    tx.commit().await?;
    Ok(Json(schedule))
}

/// Run a schedule's job now
///
/// Also while it is paused. The clock's ticks come as ever.
#[utoipa::path(post, path = "/v1/schedules/{name}/run", operation_id = "runSchedule", tag = "schedules",
    params(("name" = String, Path, description = "The schedule")),
    responses((status = 202, description = "The job is enqueued", body = TickView), NotOperator))]
pub(crate) async fn run(
    State(app): State<AppState>,
    about: AboutSchedule,
    once: Once,
) -> Result<(StatusCode, Json<TickView>)> {
    let mut tx = app.pool.begin().await?;
    let tick = about.schedules.run_in(&mut tx, &about.name).await.map_err(problem)?;
    once.keep(&mut tx, StatusCode::ACCEPTED, None, &tick).await?;
    tx.commit().await?;
    about.schedules.push(&tick).await;
    Ok((StatusCode::ACCEPTED, Json(tick)))
}

/// An operator's request about one schedule that takes no parameters.
pub(crate) struct AboutSchedule {
    schedules: Schedules,
    name: String,
}

impl FromRequestParts<AppState> for AboutSchedule {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        Operator::from_request_parts(parts, app).await?;
        let Named(name) = Named::from_request_parts(parts, app).await?;
        Params::of(&parts.uri).finish()?;
        Ok(Self { schedules: app.queue.schedules(), name })
    }
}

fn problem(error: ScheduleError) -> Problem {
    let field = match &error {
        ScheduleError::NotFound(name) => return Problem::not_found("schedule", name, "/v1/schedules"),
        ScheduleError::Name(_) => "name",
        ScheduleError::Cron(_) => "cron",
        ScheduleError::UnknownZone(_) => "time_zone",
        ScheduleError::Jitter(_) => "jitter_seconds",
        ScheduleError::Bounds { .. } | ScheduleError::Over(_) => "ends_at",
        ScheduleError::Job { .. }
        | ScheduleError::Queue(QueueError::Payload { .. } | QueueError::Nul(_) | QueueError::LongKey(_)) => "job",
        _ => {
            return match error {
                ScheduleError::Queue(error) => error.into(),
                other => Problem::internal(other),
            };
        }
    };
    Problem::bad_field(field, error)
}
