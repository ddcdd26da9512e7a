//! Merchants that were asked for.

use askama::Template;
use futures::future::BoxFuture;
use gristmill_board::{Entry, Error, Page, PageBody, Pages, Visit};
use gristmill_normalization::{
    requests::{self, Request},
    rules::{self, RuleRow},
};

use super::clients::Clients;
use crate::dashboard::{app::App, format};

/// Merchants that were asked for.
pub(in crate::dashboard) struct NormalizationPages(pub(in crate::dashboard) App);

impl Page for NormalizationPages {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("normalizations", "Normalizations").under("Back office"))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        Box::pin(async move {
            match visit.rest()[..] {
                [] => page(&self.0, visit).await,
                _ => Ok(None),
            }
        })
    }
}

#[derive(Template)]
#[template(path = "normalizations.html")]
struct Inside {
    clients: Clients,
    requests: Vec<Request>,
    rules: Vec<RuleRow>,
    pages: Pages,
}

const PAGE: i64 = 50;

async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let clients = Clients::of(app, asked).await?;
    let (requests, rules) = match clients.chosen {
        Some(client) => {
            let requests = requests::list(&app.pool, client, asked.value("before"), PAGE).await?;
            (requests, rules::list(&app.pool, client).await?)
        }
        None => (Vec::new(), Vec::new()),
    };
    let pages = Pages::of_rows(asked, &requests, PAGE as usize, |request| request.id);
    PageBody::of("Normalizations", &Inside { clients, requests, rules, pages })
}
