//! Merchants that were asked for.

use askama::Template;
use gristmill_normalization::{
    requests::{self, Request},
    rules::{self, RuleRow},
};

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

#[derive(Template)]
#[template(path = "normalizations.html")]
struct Page {
    clients: Clients,
    requests: Vec<Request>,
    rules: Vec<RuleRow>,
    pages: Pages,
}

const PAGE: i64 = 50;

pub(super) async fn page(app: &App, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let clients = Clients::of(app, asked).await?;
    let (requests, rules) = match clients.chosen {
        Some(client) => {
            let requests = requests::list(&app.pool, client, asked.parse("before"), PAGE).await?;
            (requests, rules::list(&app.pool, client).await?)
        }
        None => (Vec::new(), Vec::new()),
    };
    let full = requests.len() as i64 == PAGE;
    let pages = Pages::of(asked, requests.last().filter(|_| full).map(|last| last.id));
    PageBody::of("Normalizations", &Page { clients, requests, rules, pages })
}
