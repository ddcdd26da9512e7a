//! Mails: what was sent, and what became of it.

use askama::Template;
use gristmill_core::ClientId;
use gristmill_mail::{
    State,
    read::{self, Filter, Mail},
};
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    format,
    page::{DashboardError, PageBody, PageQuery, Pages},
};

#[derive(Template)]
#[template(path = "mail.html")]
struct List {
    clients: Clients,
    mails: Vec<Mail>,
    pages: Pages,
}

const PAGE: u32 = 50;

pub(super) async fn list(app: &App, asked: &PageQuery) -> Result<Option<PageBody>, DashboardError> {
    let clients = Clients::of(app, asked).await?;
    let mails = match clients.chosen {
        Some(client) => {
            let filter = Filter { before: asked.parse("before"), limit: PAGE, ..Filter::default() };
            read::list(&app.pool, client, &filter).await?
        }
        None => Vec::new(),
    };
    let full = mails.len() == PAGE as usize;
    let pages = Pages::of(asked, mails.last().filter(|_| full).map(|last| last.id));
    PageBody::of("Mail", &List { clients, mails, pages })
}

#[derive(Template)]
#[template(path = "one_mail.html")]
struct One {
    client: ClientId,
    mail: Mail,
    text: Option<String>,
    operator: bool,
}

pub(super) async fn one(
    app: &App,
    operator: bool,
    asked: &PageQuery,
    id: &str,
) -> Result<Option<PageBody>, DashboardError> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let Some(client) = Clients::of(app, asked).await?.chosen else { return Ok(None) };
    let Some((mail, text)) = read::find(&app.pool, client, id).await? else { return Ok(None) };
    PageBody::of(mail.subject.clone(), &One { client, mail, text, operator })
}
