//! Billing runs and the newest bills of a client.

use askama::Template;
use gristmill_billing::{
    bills::{self, Bill},
    runs::{self, Run},
    settings,
};
use jiff::Timestamp;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside},
    say,
};

#[derive(Template)]
#[template(path = "bills.html")]
struct Page {
    clients: Clients,
    runs: Vec<Run>,
    bills: Vec<Bill>,
}

pub(super) async fn page(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let clients = Clients::of(app, asked).await?;
    let (runs, bills) = match clients.chosen {
        Some(client) => {
            let settings = settings::find(&app.pool, client).await?;
            let today = settings.date_of(Timestamp::now())?;
            let newest = bills::list(&app.pool, client, &bills::Filter::default(), today, None, 30).await?;
            (runs::list(&app.pool, client, None, 20).await?, newest)
        }
        None => (Vec::new(), Vec::new()),
    };
    Inside::of("Bills", &Page { clients, runs, bills })
}
