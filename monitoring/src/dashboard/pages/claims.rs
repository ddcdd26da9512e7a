//! Claims, and the providers they go to.

use askama::Template;
use gristmill_claims::{
    claims::{self, Claim, Filter, Line, State},
    jobs::ProcessPayment,
    providers::{self, Provider},
};
use gristmill_core::ClientId;
use gristmill_queue::Job as _;
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

const PAGE: u32 = 50;
const CURRENCY: &str = "USD";

#[derive(Template)]
#[template(path = "claims.html")]
struct List<'a> {
    clients: Clients,
    state: &'a str,
    claims: Vec<Claim>,
    providers: Vec<Provider>,
    pages: Pages,
}

pub(super) async fn list(app: &App, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let clients = Clients::of(app, asked).await?;
    let (claims, providers) = match clients.chosen {
        Some(client) => {
            let filter = Filter { state: asked.parse("state"), ..Filter::default() };
            let claims = claims::list(&app.pool, client, &filter, asked.parse("before"), PAGE).await?;
            (claims, providers::top(&app.pool, client, None, None, 10).await?)
        }
        None => (Vec::new(), Vec::new()),
    };
    let full = claims.len() == PAGE as usize;
    let pages = Pages::of(asked, claims.last().filter(|_| full).map(|last| last.id));
    PageBody::of("Claims", &List { clients, state: asked.text("state"), claims, providers, pages })
}

#[derive(Template)]
#[template(path = "claim.html")]
struct One {
    client: ClientId,
    claim: Claim,
    lines: Vec<Line>,
    stuck: Option<Stuck>,
    operator: bool,
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
            (select * from jobs where state = 'dead' and queue = $1 order by run_at desc limit $4)
            union all
            (select * from jobs where state = 'parked' and queue = $1 order by run_at desc limit $4)) j
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

pub(super) async fn one(
    app: &App,
    operator: bool,
    asked: &PageQuery,
    id: &str,
) -> Result<Option<PageBody>, DashboardError> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let Some(client) = Clients::of(app, asked).await?.chosen else { return Ok(None) };
    let Some(claim) = claims::find(&app.pool, client, id).await? else { return Ok(None) };
    let lines = claims::lines(&app.pool, id).await?;
    let stuck = stuck(app, client, &claim).await?;
    PageBody::of(format!("Claim {}", format::short(id)), &One { client, claim, lines, stuck, operator })
}
