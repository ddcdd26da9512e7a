//! Claims, and the providers they go to.

use std::sync::Arc;

use askama::Template;
use axum::{Router, routing::post};
use futures::future::BoxFuture;
use gristmill_board::{Entry, Error, Page, PageBody, Pages, Visit};
use gristmill_claims::{
    claims::{self, Claim, Filter, Line, State},
    jobs::ProcessPayment,
    providers::{self, Provider},
};
use gristmill_core::ClientId;
use gristmill_queue::Job as _;
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{actions, app::App, format};

const PAGE: u32 = 50;
const CURRENCY: &str = "USD";

/// Claims, and the providers they go to.
pub(in crate::dashboard) struct ClaimPages(pub(in crate::dashboard) App);

impl Page for ClaimPages {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("claims", "Claims").under("Back office"))
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
        Router::new().route("/claims/{client}/{id}/void", post(actions::claims::void)).with_state(Arc::clone(&self.0))
    }
}

#[derive(Template)]
#[template(path = "claims.html")]
struct List<'a> {
    visit: &'a Visit,
    clients: Clients,
    state: &'a str,
    claims: Vec<Claim>,
    providers: Vec<Provider>,
    pages: Pages,
}

async fn list(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let clients = Clients::of(app, asked).await?;
    let (claims, providers) = match clients.chosen {
        Some(client) => {
            let filter = Filter { state: asked.value("state"), ..Filter::default() };
            let claims = claims::list(&app.pool, client, &filter, asked.value("before"), PAGE).await?;
            (claims, providers::top(&app.pool, client, None, None, 10).await?)
        }
        None => (Vec::new(), Vec::new()),
    };
    let pages = Pages::of_rows(asked, &claims, PAGE as usize, |claim| claim.id);
    PageBody::of("Claims", &List { visit, clients, state: asked.text("state"), claims, providers, pages })
}

#[derive(Template)]
#[template(path = "claim.html")]
struct One<'a> {
    visit: &'a Visit,
    client: ClientId,
    claim: Claim,
    lines: Vec<Line>,
    stuck: Option<Stuck>,
}

/// The job of a claim's payment, when nobody runs it any more by itself.
#[derive(sqlx::FromRow)]
struct Stuck {
    id: Uuid,
    state: String,
    error: Option<String>,
}

/// Of the payments that are dead or parked, the newest; so many are looked at.
const LOOKED_AT: i64 = 10_000;

/// What keeps a pending claim from being paid.
async fn stuck(app: &App, client: ClientId, claim: &Claim) -> Result<Option<Stuck>, sqlx::Error> {
    if claim.state != State::Pending {
        return Ok(None);
    }
    // No index knows of claims: the one of queues finds what is dead or parked, which is little on most days.
    sqlx::query_as(
        "select id, state, left(last_error, 500) as error from (
            (select * from gristmill.jobs where state = 'dead' and queue = $1 order by run_at desc limit $4)
            union all
            (select * from gristmill.jobs where state = 'parked' and queue = $1 order by run_at desc limit $4)) j
         where client_id = $2 and name = $5 and payload->>'claim_id' = $3 limit 1",
    )
    .bind(ProcessPayment::QUEUE)
    .bind(client)
    .bind(claim.id.to_string())
    .bind(LOOKED_AT)
    .bind(ProcessPayment::NAME)
    .fetch_optional(&app.pool)
    .await
}

async fn one(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let Some(client) = Clients::of(app, &visit.query).await?.chosen else { return Ok(None) };
    let Some(claim) = claims::find(&app.pool, client, id).await? else { return Ok(None) };
    let lines = claims::lines(&app.pool, id).await?;
    let stuck = stuck(app, client, &claim).await?;
    PageBody::of(format!("Claim {}", format::short(id)), &One { visit, client, claim, lines, stuck })
}
