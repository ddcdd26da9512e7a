//! Clients and their keys.

use std::sync::Arc;

use askama::Template;
use axum::{Router, routing::post};
use futures::future::BoxFuture;
use gristmill_board::{Entry, Error, Page, PageBody, Visit};
use gristmill_platform::keys::{self, Key};

use crate::dashboard::{actions, app::App};

/// Clients and their keys.
pub(in crate::dashboard) struct KeyPage(pub(in crate::dashboard) App);

impl Page for KeyPage {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("keys", "Clients and keys").under("Access"))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        Box::pin(async move {
            match visit.rest()[..] {
                [] => page(&self.0, visit).await,
                _ => Ok(None),
            }
        })
    }

    fn actions(&self) -> Router {
        Router::new().route("/keys/{id}/revoke", post(actions::keys::revoke)).with_state(Arc::clone(&self.0))
    }
}

#[derive(Template)]
#[template(path = "keys.html")]
struct Inside<'a> {
    visit: &'a Visit,
    keys: Vec<Key>,
}

async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    PageBody::of("Clients and keys", &Inside { visit, keys: keys::list(&app.pool).await? })
}
