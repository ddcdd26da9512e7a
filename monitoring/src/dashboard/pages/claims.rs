//! Claims, and the providers they go to.

use askama::Template;
use gristmill_claims::{
    claims::{self, Claim, Filter, Line},
    providers::{self, Provider},
};
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside, Pages},
    say,
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

pub(super) async fn list(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
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
    Inside::of("Claims", &List { clients, state: asked.text("state"), claims, providers, pages })
}

#[derive(Template)]
#[template(path = "claim.html")]
struct One {
    client: i32,
    claim: Claim,
    lines: Vec<Line>,
    operator: bool,
}

pub(super) async fn one(app: &App, operator: bool, asked: &Asked, id: &str) -> Result<Option<Inside>, Fault> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let Some(client) = Clients::of(app, asked).await?.chosen else { return Ok(None) };
    let Some(claim) = claims::find(&app.pool, client, id).await? else { return Ok(None) };
    let lines = claims::lines(&app.pool, id).await?;
    Inside::of(format!("Claim {}", say::short(id)), &One { client, claim, lines, operator })
}
