//! Groups of jobs.

use askama::Template;
use gristmill_queue::{GroupDetail, GroupFilter, GroupId, GroupState, GroupView};
use gristmill_uploads::owner::Owner;
use strum::VariantNames as _;

use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside},
    say,
};

#[derive(Template)]
#[template(path = "groups.html")]
struct List<'a> {
    groups: Vec<GroupView>,
    states: &'static [&'static str],
    state: &'a str,
    next: Option<String>,
}

pub(super) async fn list(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let state: Option<GroupState> = asked.parse("state");
    let filter = GroupFilter { states: state.into_iter().collect(), ..GroupFilter::default() };
    let page = app.queue.groups().list(&filter, asked.parse("before").map(GroupId), 50).await?;
    let page = List {
        groups: page.groups,
        states: GroupState::VARIANTS,
        state: asked.text("state"),
        next: page.next.map(|next| asked.with("before", &next.to_string())),
    };
    Inside::of("Groups", &page)
}

#[derive(Template)]
#[template(path = "group.html")]
struct One {
    detail: GroupDetail,
    owner: Option<Owner>,
    operator: bool,
}

pub(super) async fn one(app: &App, operator: bool, id: &str) -> Result<Option<Inside>, Fault> {
    let Ok(id) = id.parse().map(GroupId) else { return Ok(None) };
    let Some(detail) = app.queue.groups().get(id).await? else { return Ok(None) };
    let owner = Owner::of_group(&app.pool, id).await?;
    let title = detail.group.name.clone().unwrap_or_else(|| format!("Group {}", say::short(id)));
    Inside::of(title, &One { detail, owner, operator })
}
