//! Clients and their keys.

use askama::Template;
use gristmill_platform::keys::{self, Key};

use crate::dashboard::{
    app::App,
    page::{DashboardError, PageBody},
};

#[derive(Template)]
#[template(path = "keys.html")]
struct Page {
    keys: Vec<Key>,
    operator: bool,
}

pub(super) async fn page(app: &App, operator: bool) -> Result<Option<PageBody>, DashboardError> {
    PageBody::of("Clients and keys", &Page { keys: keys::list(&app.pool).await?, operator })
}
