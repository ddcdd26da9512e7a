//! Webhooks: how endpoints are, and what was delivered.

use std::collections::HashMap;

use std::sync::Arc;

use askama::Template;
use axum::{Router, routing::post};
use futures::future::BoxFuture;
use gristmill_board::{Attention, Entry, Error, Page, PageBody, Pages, Visit};
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

use super::{clients::Clients, uploads::counted};
use crate::dashboard::{actions, app::App, format};

const PAGE: u32 = 50;

/// Webhooks: how endpoints are, and what was delivered.
pub(in crate::dashboard) struct WebhookPages(pub(in crate::dashboard) App);

impl Page for WebhookPages {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("webhooks", "Webhooks").under("Back office"))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        Box::pin(async move {
            match visit.rest()[..] {
                [] => list(&self.0, visit).await,
                [id] => one(&self.0, visit, id).await,
                _ => Ok(None),
            }
        })
    }

    fn actions(&self) -> Router {
        Router::new()
            .route("/webhooks/{client}/{id}/enable", post(actions::webhooks::enable))
            .route("/webhooks/{client}/{id}/disable", post(actions::webhooks::disable))
            .route("/webhooks/{client}/{id}/test", post(actions::webhooks::test))
            .route("/webhooks/{client}/{id}/replay", post(actions::webhooks::replay_failed))
            .route("/deliveries/{client}/{endpoint}/{id}/replay", post(actions::webhooks::replay))
            .with_state(Arc::clone(&self.0))
    }

    fn attention(&self) -> BoxFuture<'_, Result<Vec<Attention>, Error>> {
        Box::pin(async move {
            let failing: i64 = sqlx::query_scalar(
                "select count(*) from webhook_endpoints
                 where failing_since is not null or disabled_reason in ('gone', 'failing')",
            )
            .fetch_one(&self.0.pool)
            .await?;
            let told = counted(failing, "webhook fails", "webhooks fail", "/webhooks?failing=yes");
            Ok(told.into_iter().collect())
        })
    }
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct List<'a> {
    visit: &'a Visit,
    clients: Clients,
    /// Only those that fail are asked for.
    failing: bool,
    endpoints: Vec<OwnedEndpoint>,
}

/// An endpoint and whose it is.
struct OwnedEndpoint {
    client: ClientId,
    name: String,
    endpoint: Endpoint,
}

async fn list(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
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
    PageBody::of("Webhooks", &List { visit, clients, failing, endpoints: found })
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
struct One<'a> {
    visit: &'a Visit,
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
}

async fn one(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let owner: Option<(ClientId, String)> = sqlx::query_as(
        "select c.id, c.name from webhook_endpoints e join clients c on c.id = e.client_id where e.id = $1",
    )
    .bind(id)
    .fetch_optional(&app.pool)
    .await?;
    let Some((client, name)) = owner else { return Ok(None) };
    let Some(endpoint) = endpoints::find(&app.pool, client, id).await? else { return Ok(None) };
    let state: Option<State> = asked.value("state");
    let deliveries = deliveries::list(&app.pool, id, state, asked.value("before"), PAGE).await?;
    let waiting: Vec<Uuid> =
        deliveries.iter().filter(|delivery| delivery.finished_at.is_none()).map(|delivery| delivery.id).collect();
    let waits = waits::of(&app.pool, id, &waiting).await?;
    let paused = match waiting.is_empty() {
        true => false,
        false => app.queue.queues().list().await?.iter().any(|queue| queue.name == Deliver::QUEUE && queue.paused),
    };
    let pages = Pages::of_rows(asked, &deliveries, PAGE as usize, |delivery| delivery.id);
    let (title, state) = (endpoint.url.clone(), asked.text("state").to_owned());
    let states = State::VARIANTS;
    let page = One { visit, client, name, endpoint, deliveries, waits, paused, state, states, pages };
    PageBody::of(title, &page)
}
