//! Merchants that were asked for.

use askama::Template;
use gristmill_normalization::{
    requests::{self, Request},
    rules::{self, Kept},
};

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside},
    say,
};

#[derive(Template)]
#[template(path = "normalizations.html")]
struct Page {
    clients: Clients,
    requests: Vec<Request>,
    rules: Vec<Kept>,
}

pub(super) async fn page(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let clients = Clients::of(app, asked).await?;
    let (requests, rules) = match clients.chosen {
        Some(client) => (requests::list(&app.pool, client, None, 50).await?, rules::list(&app.pool, client).await?),
        None => (Vec::new(), Vec::new()),
    };
    Inside::of("Normalizations", &Page { clients, requests, rules })
}
