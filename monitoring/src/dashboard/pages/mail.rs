//! Mails: what was sent, and what became of it.

use std::sync::Arc;

use askama::Template;
use axum::{Router, routing::post};
use futures::future::BoxFuture;
use gristmill_board::{Entry, Error, Page, PageBody, Pages, Visit};
use gristmill_core::ClientId;
use gristmill_mail::{
    State,
    read::{self, Filter, Mail},
};
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{actions, app::App, format};

/// Mails: what was sent, and what became of it.
pub(in crate::dashboard) struct MailPages(pub(in crate::dashboard) App);

impl Page for MailPages {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("mail", "Mail").under("Back office"))
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
            .route("/mail/{client}/{id}/resend", post(actions::mail::resend))
            .route("/mail/{client}/{id}/send_twice", post(actions::mail::send_twice))
            .with_state(Arc::clone(&self.0))
    }
}

#[derive(Template)]
#[template(path = "mail.html")]
struct List<'a> {
    visit: &'a Visit,
    clients: Clients,
    mails: Vec<Mail>,
    pages: Pages,
}

const PAGE: u32 = 50;

async fn list(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let clients = Clients::of(app, asked).await?;
    let mails = match clients.chosen {
        Some(client) => {
            let filter = Filter { before: asked.value("before"), limit: PAGE, ..Filter::default() };
            read::list(&app.pool, client, &filter).await?
        }
        None => Vec::new(),
    };
    let pages = Pages::of_rows(asked, &mails, PAGE as usize, |mail| mail.id);
    PageBody::of("Mail", &List { visit, clients, mails, pages })
}

#[derive(Template)]
#[template(path = "one_mail.html")]
struct One<'a> {
    visit: &'a Visit,
    client: ClientId,
    mail: Mail,
    text: Option<String>,
}

async fn one(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let Some(client) = Clients::of(app, &visit.query).await?.chosen else { return Ok(None) };
    let Some((mail, text)) = read::find(&app.pool, client, id).await? else { return Ok(None) };
    PageBody::of(mail.subject.clone(), &One { visit, client, mail, text })
}
