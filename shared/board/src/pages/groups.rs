//! Groups of jobs.

use std::collections::HashMap;

use askama::Template;
use gristmill_queue::{GroupDetail, GroupFilter, GroupId, GroupState, GroupView};
use strum::VariantNames as _;

use crate::{
    Error,
    board::App,
    extend::Owner,
    format,
    frame::PageBody,
    visit::{Pages, Visit},
};

#[derive(Template)]
#[template(path = "groups.html")]
struct List<'a> {
    visit: &'a Visit,
    groups: Vec<GroupView>,
    states: &'static [&'static str],
    state: &'a str,
    pages: Pages,
    /// What groups are of, by their id.
    owners: HashMap<GroupId, Owner>,
    /// Whether they are on somebody's behalf.
    has_clients: bool,
    when_empty: String,
}

pub(super) async fn list(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let state: Option<GroupState> = asked.value("state");
    let filter = GroupFilter { states: state.into_iter().collect(), ..GroupFilter::default() };
    let page = app.queue.groups().list(&filter, asked.value("before"), 50).await?;
    let ids: Vec<GroupId> = page.groups.iter().map(|group| group.id).collect();
    let page = List {
        visit,
        owners: app.owners.of_groups(&ids).await?,
        has_clients: app.owners.clients().await?.is_some(),
        groups: page.groups,
        states: GroupState::VARIANTS,
        state: asked.text("state"),
        pages: Pages::of(asked, page.next),
        when_empty: app.when_empty("groups"),
    };
    PageBody::of("Groups", &page)
}

#[derive(Template)]
#[template(path = "group.html")]
struct One<'a> {
    visit: &'a Visit,
    detail: GroupDetail,
    owner: Option<Owner>,
    /// By its owner: then it is not ended, or run again, alone.
    needed: bool,
}

pub(super) async fn one(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let Ok(id) = id.parse::<GroupId>() else { return Ok(None) };
    let Some(detail) = app.queue.groups().get(id).await? else { return Ok(None) };
    let needed = app.owners.needs_group(id).await?.is_some();
    let title = detail.group.name.clone().unwrap_or_else(|| format!("Group {}", format::short(id)));
    let owner = app.owners.of_groups(&[id]).await?.remove(&id);
    PageBody::of(title, &One { visit, detail, owner, needed })
}
