//! Who did what on the dashboard.

use askama::Template;

use crate::dashboard::{
    app::App,
    audit::{Entry, list},
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

const PAGE: i64 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    entries: Vec<Entry>,
    pages: Pages,
}

pub(super) async fn page(app: &App, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let entries = list(&app.pool, asked.parse("before"), PAGE).await?;
    let full = entries.len() as i64 == PAGE;
    let pages = Pages::of(asked, entries.last().filter(|_| full).map(|last| last.id));
    PageBody::of("Audit", &Page { entries, pages })
}
