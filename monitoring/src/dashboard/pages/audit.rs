//! Who did what on the dashboard.

use askama::Template;

use crate::dashboard::{
    app::App,
    audit::{Entry, list},
    page::{Asked, Fault, Inside},
    say,
};

const PAGE: i64 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    entries: Vec<Entry>,
    next: Option<String>,
}

pub(super) async fn page(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let entries = list(&app.pool, asked.parse("before"), PAGE).await?;
    let full = entries.len() as i64 == PAGE;
    let next = entries.last().filter(|_| full).map(|last| asked.with("before", &last.id.to_string()));
    Inside::of("Audit", &Page { entries, next })
}
