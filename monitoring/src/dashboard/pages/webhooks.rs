//! Webhooks: how endpoints are, and what was delivered.

use std::collections::HashMap;

use askama::Template;
use gristmill_core::ClientId;
use gristmill_queue::Job as _;
use gristmill_webhooks::{
    deliveries::{self, Delivery, State},
    endpoints::{self, Endpoint},
    jobs::Deliver,
    waits::{self, Wait},
};
use strum::VariantNames as _;
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct List {
    clients: Clients,
    /// Only those that fail are asked for.
    failing: bool,
    endpoints: Vec<OwnedEndpoint>,
    operator: bool,
}

/// An endpoint and whose it is.
struct OwnedEndpoint {
    client: ClientId,
    name: String,
    endpoint: Endpoint,
}

pub(super) async fn list(app: &App, operator: bool, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let clients = Clients::one_or_all(app, asked).await?;
    let failing = asked.get("failing").is_some();
    let mut found = Vec::new();
    for (client, name) in with_endpoints(app, &clients, failing).await? {
        for endpoint in endpoints::list(&app.pool, client).await? {
            if !failing || fails(&endpoint) {
                found.push(OwnedEndpoint { client, name: name.clone(), endpoint });
            }
        }
    }
    PageBody::of("Webhooks", &List { clients, failing, endpoints: found, operator })
}

/// It has failed lately, or was disabled because it did.
fn fails(endpoint: &Endpoint) -> bool {
    endpoint.failing_since.is_some() || matches!(endpoint.disabled_reason.as_deref(), Some("gone" | "failing"))
}

/// The chosen client, or all that have endpoints.
async fn with_endpoints(app: &App, clients: &Clients, failing: bool) -> Result<Vec<(ClientId, String)>, sqlx::Error> {
    sqlx::query_as(
        "select id, name from clients c
         where ($1::int is null or id = $1) and exists (
            select from webhook_endpoints e where e.client_id = c.id
              and (not $2 or e.failing_since is not null or e.disabled_reason in ('gone', 'failing')))
         order by lower(name), id",
    )
    .bind(clients.chosen)
    .bind(failing)
    .fetch_all(&app.pool)
    .await
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct One {
    client: ClientId,
    name: String,
    endpoint: Endpoint,
    deliveries: Vec<Delivery>,
    waits: HashMap<Uuid, Wait>,
    /// Nothing is delivered to anybody.
    paused: bool,
    state: String,
    states: &'static [&'static str],
    pages: Pages,
    operator: bool,
}

pub(super) async fn one(
    app: &App,
    operator: bool,
    asked: &PageQuery,
    id: &str,
) -> Result<Option<PageBody>, DashboardError> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let owner: Option<(ClientId, String)> = sqlx::query_as(
        "select c.id, c.name from webhook_endpoints e join clients c on c.id = e.client_id where e.id = $1",
    )
    .bind(id)
    .fetch_optional(&app.pool)
    .await?;
    let Some((client, name)) = owner else { return Ok(None) };
    let Some(endpoint) = endpoints::find(&app.pool, client, id).await? else { return Ok(None) };
    let state: Option<State> = asked.parse("state");
    let deliveries = deliveries::list(&app.pool, id, state, asked.parse("before"), PAGE).await?;
    let waiting: Vec<Uuid> =
        deliveries.iter().filter(|delivery| delivery.finished_at.is_none()).map(|delivery| delivery.id).collect();
    let waits = waits::of(&app.pool, id, &waiting).await?;
    let paused = match waiting.is_empty() {
        true => false,
        false => app.queue.queues().list().await?.iter().any(|queue| queue.name == Deliver::QUEUE && queue.paused),
    };
    let full = deliveries.len() == PAGE as usize;
    let pages = Pages::of(asked, deliveries.last().filter(|_| full).map(|last| last.id));
    let (title, state) = (endpoint.url.clone(), asked.text("state").to_owned());
    let states = State::VARIANTS;
    let page = One { client, name, endpoint, deliveries, waits, paused, state, states, pages, operator };
    PageBody::of(title, &page)
}
