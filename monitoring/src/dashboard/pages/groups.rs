//! Groups of jobs.

use std::collections::HashMap;

use askama::Template;
use gristmill_core::ClientId;
use gristmill_kinds::Owner;
use gristmill_queue::{GroupDetail, GroupFilter, GroupId, GroupState, GroupView};
use gristmill_uploads::UploadId;
use strum::VariantNames as _;
use uuid::Uuid;

use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

#[derive(Template)]
#[template(path = "groups.html")]
struct List<'a> {
    groups: Vec<GroupView>,
    states: &'static [&'static str],
    state: &'a str,
    pages: Pages,
    /// What groups are of, by their id.
    owners: HashMap<GroupId, Of>,
}

pub(super) async fn list(app: &App, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let state: Option<GroupState> = asked.parse("state");
    let filter = GroupFilter { states: state.into_iter().collect(), ..GroupFilter::default() };
    let page = app.queue.groups().list(&filter, asked.parse("before"), 50).await?;
    let ids: Vec<GroupId> = page.groups.iter().map(|group| group.id).collect();
    let page = List {
        owners: owners(app, &ids).await?,
        groups: page.groups,
        states: GroupState::VARIANTS,
        state: asked.text("state"),
        pages: Pages::of(asked, page.next),
    };
    PageBody::of("Groups", &page)
}

/// What a group is of.
#[derive(sqlx::FromRow)]
struct Of {
    group_id: GroupId,
    client_id: ClientId,
    client: String,
    /// Of a billing run.
    run_id: Option<Uuid>,
    /// Of an upload.
    upload_id: Option<UploadId>,
    filename: Option<String>,
}

/// The uploads and billing runs whose groups these are. An upload and its group are made together, so that its key finds it.
async fn owners(app: &App, groups: &[GroupId]) -> Result<HashMap<GroupId, Of>, sqlx::Error> {
    let around = |id: &GroupId, seconds: i128| {
        let millis = i128::try_from(id.get().as_u128() >> 80).unwrap_or(0) + seconds * 1_000;
        Uuid::from_u128(u128::try_from(millis).unwrap_or(0) << 80)
    };
    let (Some(first), Some(last)) = (groups.iter().min(), groups.iter().max()) else { return Ok(HashMap::new()) };
    let found: Vec<Of> = sqlx::query_as(
        "select u.group_id, c.id as client_id, c.name as client, null::uuid as run_id, u.id as upload_id, u.filename
         from uploads u join clients c on c.id = u.client_id
         where u.id between $2 and $3 and u.group_id = any($1)
         union all
         select r.group_id, c.id, c.name, r.id, null, null from billing_runs r join clients c on c.id = r.client_id
         where r.group_id = any($1)",
    )
    .bind(groups)
    .bind(around(first, -60))
    .bind(around(last, 60))
    .fetch_all(&app.pool)
    .await?;
    Ok(found.into_iter().map(|of| (of.group_id, of)).collect())
}

#[derive(Template)]
#[template(path = "group.html")]
struct One {
    detail: GroupDetail,
    owner: Option<Owner>,
    of: Option<Of>,
    operator: bool,
}

pub(super) async fn one(app: &App, operator: bool, id: &str) -> Result<Option<PageBody>, DashboardError> {
    let Ok(id) = id.parse::<GroupId>() else { return Ok(None) };
    let Some(detail) = app.queue.groups().get(id).await? else { return Ok(None) };
    let owner = Owner::of_group(&app.pool, id).await?;
    let title = detail.group.name.clone().unwrap_or_else(|| format!("Group {}", format::short(id)));
    let of = owners(app, &[id]).await?.remove(&id);
    PageBody::of(title, &One { detail, owner, of, operator })
}
