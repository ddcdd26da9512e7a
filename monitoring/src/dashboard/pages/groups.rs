//! Groups of jobs.

use askama::Template;
use gristmill_queue::{GroupDetail, GroupFilter, GroupId, GroupState, GroupView};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside},
    say,
};

#[derive(Template)]
#[template(path = "groups.html")]
struct List<'a> {
    groups: Vec<GroupView>,
    states: Vec<&'static str>,
    state: &'a str,
    next: Option<String>,
}

pub(super) async fn list(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let state: Option<GroupState> = asked.parse("state");
    let filter = GroupFilter { states: state.into_iter().collect(), ..GroupFilter::default() };
    let page = app.queue.groups().list(&filter, asked.parse("before").map(GroupId), 50).await?;
    let page = List {
        groups: page.groups,
        states: GroupState::ALL.iter().map(|state| state.as_str()).collect(),
        state: asked.text("state"),
        next: page.next.map(|next| asked.with("before", &next.to_string())),
    };
    Inside::of("Groups", &page)
}

#[derive(Template)]
#[template(path = "group.html")]
struct One {
    detail: GroupDetail,
    upload: Option<Uuid>,
    operator: bool,
}

pub(super) async fn one(app: &App, operator: bool, id: &str) -> Result<Option<Inside>, Fault> {
    let Ok(id) = id.parse().map(GroupId) else { return Ok(None) };
    let Some(detail) = app.queue.groups().get(id).await? else { return Ok(None) };
    let upload = upload_of(&mut *app.pool.acquire().await?, id).await?;
    let title = detail.group.name.clone().unwrap_or_else(|| format!("Group {}", say::short(id)));
    Inside::of(title, &One { detail, upload, operator })
}

/// The upload whose group it is. They are made together, so there is no need of an index.
pub(in crate::dashboard) async fn upload_of(conn: &mut PgConnection, id: GroupId) -> Result<Option<Uuid>, sqlx::Error> {
    let millis = id.0.as_u128() >> 80;
    let around = |millis: u128| Uuid::from_u128(millis << 80);
    sqlx::query_scalar("select id from uploads where group_id = $1 and id between $2 and $3")
        .bind(id)
        .bind(around(millis.saturating_sub(60_000)))
        .bind(around(millis.saturating_add(60_000)))
        .fetch_optional(conn)
        .await
}
