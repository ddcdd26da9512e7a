//! Webhooks: how endpoints are, and what was delivered.

use askama::Template;
use gristmill_webhooks::{
    deliveries::{self, Delivery},
    endpoints::{self, Endpoint},
};
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside},
    say,
};

#[derive(Template)]
#[template(path = "webhooks.html")]
struct List {
    clients: Clients,
    endpoints: Vec<Endpoint>,
    operator: bool,
}

pub(super) async fn list(app: &App, operator: bool, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let clients = Clients::of(app, asked).await?;
    let endpoints = match clients.chosen {
        Some(client) => endpoints::list(&app.pool, client).await?,
        None => Vec::new(),
    };
    Inside::of("Webhooks", &List { clients, endpoints, operator })
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct One {
    client: i32,
    endpoint: Endpoint,
    deliveries: Vec<Delivery>,
    operator: bool,
}

pub(super) async fn one(app: &App, operator: bool, asked: &Asked, id: &str) -> Result<Option<Inside>, Fault> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let Some(client) = Clients::of(app, asked).await?.chosen else { return Ok(None) };
    let Some(endpoint) = endpoints::find(&app.pool, client, id).await? else { return Ok(None) };
    let deliveries = deliveries::list(&app.pool, id, None, None, 50).await?;
    let title = endpoint.url.clone();
    Inside::of(title, &One { client, endpoint, deliveries, operator })
}
