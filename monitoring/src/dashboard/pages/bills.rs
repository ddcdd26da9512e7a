//! Billing runs and the newest bills of a client.

use askama::Template;
use gristmill_billing::{
    bills::{self, Bill, Status},
    runs::{self, Run},
    settings,
};
use jiff::Timestamp;
use strum::VariantNames as _;

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside, Pages},
    say,
};

#[derive(Template)]
#[template(path = "bills.html")]
struct Page {
    clients: Clients,
    runs: Vec<Run>,
    bills: Vec<Bill>,
    status: String,
    statuses: &'static [&'static str],
    pages: Pages,
}

const PAGE: u32 = 50;

pub(super) async fn page(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let clients = Clients::of(app, asked).await?;
    let (runs, bills) = match clients.chosen {
        Some(client) => {
            let settings = settings::find(&app.pool, client).await?;
            let today = settings.date_of(Timestamp::now())?;
            let filter = bills::Filter { status: asked.parse("status"), ..bills::Filter::default() };
            let newest = bills::list(&app.pool, client, &filter, today, asked.parse("before"), PAGE).await?;
            (runs::list(&app.pool, client, None, 20).await?, newest)
        }
        None => (Vec::new(), Vec::new()),
    };
    let full = bills.len() == PAGE as usize;
    let pages = Pages::of(asked, bills.last().filter(|_| full).map(|last| last.number));
    let status = asked.text("status").to_owned();
    Inside::of("Bills", &Page { clients, runs, bills, status, statuses: Status::VARIANTS, pages })
}
