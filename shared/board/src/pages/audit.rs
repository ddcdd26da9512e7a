//! Who did what on the dashboard.

use askama::Template;

use crate::{
    Error,
    audit::AuditEntry,
    board::App,
    format,
    frame::PageBody,
    visit::{Pages, Visit},
};

const PAGE: i64 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    note: Option<&'a str>,
    entries: Vec<AuditEntry>,
    pages: Pages,
}

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let entries = app.audit.list(visit.query.value("before"), PAGE).await?;
    let pages = Pages::of_rows(&visit.query, &entries, PAGE as usize, |entry| entry.id);
    PageBody::of("Audit", &Page { note: app.audit.note(), entries, pages })
}
