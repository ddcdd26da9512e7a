//! `/v1/groups`: jobs with one end.

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use gristmill_kinds::Owner;
use gristmill_platform::keys;
use gristmill_queue::{GroupDetail, GroupFilter, GroupId, GroupState, GroupView, JobSpec, StageView};
use http::{StatusCode, Uri, request::Parts};
use serde::Serialize;
use sqlx::PgConnection;
use tracing::Instrument as _;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::jobs::{Group, Job, Names};
use crate::{
    app::AppState,
    auth::{Caller, forbidden},
    cursor,
    idempotency::Once,
    openapi::{Absent, NotNow, NotOperator},
    params::{Named, Params},
    problem::{Code, Problem, Result},
};

/// A page of groups, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupList {
    items: Vec<Group>,
    /// Pass it as `cursor` for the next page; null on the last one. A page may have fewer items than asked for, or none, and
    /// not be the last.
    next_cursor: Option<String>,
}

/// Everything about a group.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneGroup {
    #[serde(flatten)]
    group: Group,
    /// The job that its end enqueues.
    on_complete: Option<JobSpec>,
    /// The job that its end enqueues when a member has failed.
    on_failure: Option<JobSpec>,
    /// The group around it.
    parent: Option<Group>,
    /// Groups directly inside it, the newest first; at most a hundred.
    children: Vec<Group>,
    /// The stages of the flow that it is, or is a stage of, in their order.
    stages: Vec<StageView>,
    /// Members that are dead or parked, the newest first; at most fifty.
    failed_members: Vec<Job>,
    /// There are, or may be, more of them: `GET /v1/jobs?group=` lists them. A retry runs all of them again.
    more_failed_members: bool,
}

/// Which groups, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct GroupsQuery {
    /// Only groups in these states, with commas between them: `open`, `failing`, `completed`, `failed`, `cancelled`.
    #[param(example = "open,failing")]
    state: Option<String>,
    /// Only groups on behalf of the client of this name.
    client: Option<String>,
    /// Only groups directly inside this one.
    parent: Option<Uuid>,
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^g[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Groups of jobs, newest first
///
/// A client's key lists the groups on its behalf, an operator's all of them.
#[utoipa::path(get, path = "/v1/groups", operation_id = "listGroups", tag = "groups", params(GroupsQuery),
    responses((status = 200, description = "A page", body = GroupList), NotOperator, Absent))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<GroupList>> {
    let mut query = Params::of(&uri);
    let states: Vec<GroupState> = query.list("state");
    let client = query.take::<String>("client");
    let parent = query.id("parent");
    let limit = query.limit();
    let after = query.take::<cursor::Groups>("cursor").map(|cursor| GroupId::from(cursor.id()));
    query.finish()?;
    let pool = &app.pool;
    let client_id = match client {
        Some(name) if caller.is_operator() => {
            let found = keys::client_id(pool, &name).await?;
            Some(found.ok_or_else(|| Problem::no_such_client(&name))?)
        }
        Some(name) if name != caller.name() => return Err(forbidden()),
        None if caller.is_operator() => None,
        Some(_) | None => Some(caller.id()),
    };
    let filter = GroupFilter { states, client_id, parent };
    let page = app.queue.groups().list(&filter, after, u16::try_from(limit).unwrap_or(200)).await?;
    let names = Names::of(pool, page.groups.iter().map(|group| group.client_id)).await?;
    Ok(Json(GroupList {
        items: page.groups.into_iter().map(|group| names.group(group)).collect(),
        next_cursor: page.next.map(|next| cursor::Groups::after_id(next.get()).to_string()),
    }))
}

/// One group, with what is inside it
#[utoipa::path(get, path = "/v1/groups/{id}", operation_id = "getGroup", tag = "groups", params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "The group", body = OneGroup)))]
pub(crate) async fn one(about: AboutGroup) -> Result<Json<OneGroup>> {
    let mut conn = about.app.pool.acquire().await?;
    about.show(&mut conn).await.map(Json)
}

/// Cancel a group and everything inside it
///
/// No join of it comes any more. (An upload's group is cancelled with its upload: `DELETE /v1/uploads/{id}`.)
#[utoipa::path(post, path = "/v1/groups/{id}/cancel", operation_id = "cancelGroup", tag = "groups",
    params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "The group as it is now", body = OneGroup), NotNow))]
pub(crate) async fn cancel(about: AboutGroup, once: Once) -> Result<Json<OneGroup>> {
    let group = about.steerable().await?;
    if group.finished_at.is_some() {
        let detail = format!("The group is {}: only one that has not ended can be cancelled.", group.state);
        return Err(Problem::new(Code::WrongState, detail));
    }
    // On a task of its own: once begun it is finished, even if the client hangs up.
    let cancelling = async move {
        let mut tx = about.app.pool.begin().await?;
        about.app.queue.cancel_group(&mut tx, about.id).await?;
        let now = about.show(&mut tx).await?;
        once.keep(&mut tx, StatusCode::OK, None, &now).await?;
        tx.commit().await?;
        Ok(Json(now))
    };
    tokio::spawn(cancelling.in_current_span()).await.map_err(Problem::internal)?
}

/// Run the failed members of a group again
///
/// All of them, and, where a failure has stopped the group, those that it stopped too. The join comes again, once.
#[utoipa::path(post, path = "/v1/groups/{id}/retry", operation_id = "retryGroup", tag = "groups",
    params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, description = "The group as it is now", body = OneGroup), NotNow))]
pub(crate) async fn retry(about: AboutGroup, once: Once) -> Result<Json<OneGroup>> {
    let group = about.steerable().await?;
    let retrying = async move {
        let mut tx = about.app.pool.begin().await?;
        let jobs = about.app.queue.retry_group(&mut tx, about.id).await?;
        if jobs.is_empty() {
            let detail = format!("The group is {}, and no failed member of it can run again now.", group.state);
            return Err(Problem::new(Code::WrongState, detail));
        }
        let now = about.show(&mut tx).await?;
        once.keep(&mut tx, StatusCode::OK, None, &now).await?;
        tx.commit().await?;
        about.app.queue.push(jobs).await;
        Ok(Json(now))
    };
    tokio::spawn(retrying.in_current_span()).await.map_err(Problem::internal)?
}

/// A request about one group that takes no parameters.
pub(crate) struct AboutGroup {
    app: AppState,
    caller: Caller,
    id: GroupId,
}

impl AboutGroup {
    async fn find(&self, conn: &mut PgConnection) -> Result<GroupDetail> {
        let found = self.app.queue.groups().get_in(conn, self.id).await?;
        let seen = found.filter(|found| self.caller.may_see(found.group.client_id));
        seen.ok_or_else(|| Problem::not_found("group", self.id, "/v1/groups"))
    }

    /// The group, unless it is an upload's or a billing run's: the end of one is more than the end of its jobs.
    async fn steerable(&self) -> Result<GroupView> {
        let group = self.find(&mut *self.app.pool.acquire().await?).await?.group;
        let Some(owner) = Owner::of_group(&self.app.pool, self.id).await? else { return Ok(group) };
        let detail =
            format!("The group is {owner}'s. {} cancels it; one that has failed is created again.", owner.end());
        Err(Problem::new(Code::WrongState, detail).about(owner.upload()))
    }

    async fn show(&self, conn: &mut PgConnection) -> Result<OneGroup> {
        let detail = self.find(conn).await?;
        let around = [Some(&detail.group), detail.parent.as_ref()];
        let groups = around.into_iter().flatten().chain(&detail.children).map(|group| group.client_id);
        let clients = groups.chain(detail.failed_members.iter().map(|job| job.client_id));
        let names = Names::of(conn, clients).await?;
        Ok(OneGroup {
            group: names.group(detail.group),
            on_complete: detail.on_complete,
            on_failure: detail.on_failure,
            parent: detail.parent.map(|parent| names.group(parent)),
            children: detail.children.into_iter().map(|child| names.group(child)).collect(),
            stages: detail.stages,
            failed_members: detail.failed_members.into_iter().map(|job| names.job(job)).collect(),
            more_failed_members: detail.more_failed_members,
        })
    }
}

impl FromRequestParts<AppState> for AboutGroup {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let id = Named::from_request_parts(parts, app).await?.id("group", "/v1/groups")?.into();
        Params::of(&parts.uri).finish()?;
        Ok(Self { app: app.clone(), caller, id })
    }
}
