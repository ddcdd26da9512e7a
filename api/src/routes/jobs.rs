//! `/v1/jobs`: the work in the queue.

mod actions;
mod change;
mod filter;
mod view;

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use gristmill_queue::{JobDetail, JobId};
use http::{Uri, request::Parts};
use sqlx::PgConnection;

use crate::{
    app::AppState,
    auth::Caller,
    cursor,
    openapi::{Absent, NotOperator},
    params::{Named, Params},
    problem::{Problem, Result},
};

// The documentation macros make an item beside each handler.
pub(crate) use actions::*;
pub(crate) use change::*;
pub(crate) use view::{Group, Job, JobList, JobLogs, Names, OneJob};

use filter::{Filter, JobsQuery};

/// Jobs, newest first
///
/// A client's key lists the jobs on its behalf, an operator's all of them. However many there are, a page takes
/// milliseconds.
#[utoipa::path(get, path = "/v1/jobs", operation_id = "listJobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, description = "A page", body = JobList), NotOperator, Absent))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<JobList>> {
    let mut query = Params::of(&uri);
    let filter = Filter::take(&mut query);
    let limit = query.limit();
    let after = query.take::<cursor::Jobs>("cursor").map(|cursor| JobId::from(cursor.id()));
    let counted = query.flag("total");
    query.finish()?;
    let pool = &app.pool;
    let filter = filter.seen_by(&caller, pool).await?;
    let jobs = app.queue.jobs();
    let page = jobs.list(&filter, after, u16::try_from(limit).unwrap_or(200)).await?;
    let total = if counted { Some(jobs.count(&filter).await?) } else { None };
    let names = Names::of(pool, page.jobs.iter().map(|job| job.client_id)).await?;
    Ok(Json(JobList {
        items: page.jobs.into_iter().map(|job| names.job(job)).collect(),
        next_cursor: page.next.map(|next| cursor::Jobs::after_id(next.get()).to_string()),
        total,
    }))
}

/// One job, with its attempts and its group
#[utoipa::path(get, path = "/v1/jobs/{id}", operation_id = "getJob", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "The job", body = OneJob)))]
pub(crate) async fn one(about: About) -> Result<Json<OneJob>> {
    let mut conn = about.app.pool.acquire().await?;
    let mut detail = about.find(&mut conn).await?;
    if let Some(kept) = detail.result.take() {
        let readable = about.app.queue.readable_result(&detail.job.name, kept.clone());
        // What this server cannot decrypt is shown as it is kept, and says by which key it is.
        detail.result = Some(readable.unwrap_or(kept));
    }
    about.shown(&mut conn, detail).await.map(Json)
}

/// What the attempts of a job have said
///
/// The last 500 lines and 64 KiB of each attempt, of the last hundred attempts that have said anything. They are there when the
/// attempt has ended, or, of a worker that reports them before, as soon as it does.
#[utoipa::path(get, path = "/v1/jobs/{id}/logs", operation_id = "getJobLogs", tag = "jobs", params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "Its attempts, the oldest first", body = JobLogs)))]
pub(crate) async fn logs(about: About) -> Result<Json<JobLogs>> {
    let mut conn = about.app.pool.acquire().await?;
    about.find(&mut conn).await?;
    Ok(Json(JobLogs { items: about.app.queue.jobs().logs_in(&mut conn, about.id).await? }))
}

/// A request about one job that takes no parameters.
pub(crate) struct About {
    app: AppState,
    caller: Caller,
    id: JobId,
}

impl About {
    /// The job, if it is there for the caller.
    async fn find(&self, conn: &mut PgConnection) -> Result<JobDetail> {
        let found = self.app.queue.jobs().get_in(conn, self.id).await?;
        let seen = found.filter(|found| self.caller.may_see(found.job.client_id));
        seen.ok_or_else(|| Problem::not_found("job", self.id, "/v1/jobs"))
    }

    async fn show(&self, conn: &mut PgConnection) -> Result<OneJob> {
        let detail = self.find(conn).await?;
        self.shown(conn, detail).await
    }

    async fn shown(&self, conn: &mut PgConnection, detail: JobDetail) -> Result<OneJob> {
        let clients = [detail.job.client_id, detail.group.as_ref().and_then(|group| group.client_id)];
        let names = Names::of(conn, clients.into_iter()).await?;
        Ok(names.detail(detail))
    }
}

impl FromRequestParts<AppState> for About {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let id = Named::from_request_parts(parts, app).await?.id("job", "/v1/jobs")?.into();
        Params::of(&parts.uri).finish()?;
        Ok(Self { app: app.clone(), caller, id })
    }
}
