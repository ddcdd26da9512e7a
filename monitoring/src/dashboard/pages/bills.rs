//! Billing runs, a client's bills, and one of them.

mod one;
pub(in crate::dashboard) mod totals;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    routing::{get, post},
};
use futures::future::BoxFuture;
use gristmill_billing::{
    BillId,
    bills::{self, Bill, Status},
    runs::{self, Run},
    totals::Total,
};
use gristmill_board::{Attention, Entry, Error, Page, PageBody, PageQuery, Pages, Visit};
use gristmill_clients::settings;
use gristmill_core::ClientId;
use jiff::Timestamp;
use sqlx::Acquire as _;
use strum::VariantNames as _;
use uuid::Uuid;

use super::clients::Clients;
use crate::dashboard::{actions, app::App, bill, format};
use one::page as one;

/// Billing runs, a client's bills, and one of them.
pub(in crate::dashboard) struct BillPages(pub(in crate::dashboard) App);

impl Page for BillPages {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("bills", "Bills").under("Back office"))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        Box::pin(async move {
            match visit.rest()[..] {
                [] => page(&self.0, visit).await,
                [id] => one(&self.0, visit, id).await,
                _ => Ok(None),
            }
        })
    }

    fn routes(&self) -> Router {
        Router::new().route("/bills/{name}", get(bill::page)).with_state(Arc::clone(&self.0))
    }

    fn actions(&self) -> Router {
        Router::new().route("/bills/{id}/cancel", post(actions::bills::cancel)).with_state(Arc::clone(&self.0))
    }

    fn attention(&self) -> BoxFuture<'_, Result<Vec<Attention>, Error>> {
        Box::pin(async move { Ok(held_runs(&self.0).await?.into_iter().collect()) })
    }
}

/// Billing runs that wait for somebody's word.
async fn held_runs(app: &App) -> Result<Option<Attention>, sqlx::Error> {
    let (n, client): (i64, Option<ClientId>) =
        sqlx::query_as("select count(*), min(client_id) from billing_runs where state = 'held'")
            .fetch_one(&app.pool)
            .await?;
    Ok(client.map(|client| {
        let runs = if n == 1 { "billing run is held and waits" } else { "billing runs are held and wait" };
        let what = format!("{} {runs} for an approval", format::count(n));
        Attention::new(what, format!("/bills?client={client}"))
    }))
}

#[derive(Template)]
#[template(path = "bills.html")]
struct Inside<'a> {
    visit: &'a Visit,
    clients: Clients,
    runs: Vec<Run>,
    /// None: to find them takes too long.
    bills: Option<Vec<Bill>>,
    /// None: they are too many to be added up while somebody waits.
    totals: Option<Vec<Total>>,
    /// What is looked for.
    find: &'a str,
    run: Option<Uuid>,
    status: &'a str,
    statuses: &'static [&'static str],
    pages: Pages,
}

const PAGE: u32 = 50;
/// How long may be looked for bills, in milliseconds.
const STATEMENT_TIMEOUT_MS: u32 = 3_000;

async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let clients = Clients::of(app, asked).await?;
    let filter = filter(asked);
    let (mut runs, mut bills, mut totals) = (Vec::new(), Some(Vec::new()), None);
    if let Some(client) = clients.chosen {
        let today = settings::find(&app.pool, client).await?.date_of(Timestamp::now())?;
        runs = runs::list(&app.pool, client, None, 20).await?;
        let before = asked.value("before");
        bills = in_time(app, STATEMENT_TIMEOUT_MS, async |conn| {
            bills::list(conn, client, &filter, today, before, PAGE).await
        })
        .await?;
        totals = app.totals.of(app, client, &filter, today).await?;
    }
    let last = bills.iter().flatten().last().filter(|_| bills.iter().flatten().count() == PAGE as usize);
    let pages = Pages::of(asked, last.map(|last| last.number));
    let page = Inside {
        visit,
        clients,
        runs,
        bills,
        totals,
        find: asked.text("find"),
        run: asked.value("run"),
        status: asked.text("status"),
        statuses: Status::VARIANTS,
        pages,
    };
    PageBody::of("Bills", &page)
}

/// `find` is a bill's number or id, a debt's id, or a part of a payer's name or government id.
fn filter(asked: &PageQuery) -> bills::Filter {
    let mut filter =
        bills::Filter { status: asked.value("status"), run_id: asked.value("run"), ..bills::Filter::default() };
    let Some(find) = asked.get("find") else { return filter };
    match (find.parse::<BillId>(), find.parse::<Uuid>(), find.replace(',', "").parse::<i64>()) {
        (Ok(bill), ..) => filter.number = Some(bill.number),
        (_, Ok(debt), _) => filter.debt_id = Some(debt),
        // A CPF has 11 digits; nobody has so many bills.
        (.., Ok(number)) if find.len() < 11 => filter.number = Some(number),
        _ => filter.payer = Some(find.to_owned()),
    }
    filter
}

/// What a statement finds within so many milliseconds; none: it was ended.
async fn in_time<T>(
    app: &App,
    millis: u32,
    look: impl AsyncFnOnce(&mut sqlx::PgConnection) -> Result<T, sqlx::Error>,
) -> Result<Option<T>, sqlx::Error> {
    const ENDED: &str = "57014";
    let mut conn = app.pool.acquire().await?;
    let mut tx = conn.begin().await?;
    sqlx::query(&format!("set local statement_timeout = {millis}")).execute(&mut *tx).await?;
    match look(&mut tx).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(ENDED)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> bills::Filter {
        filter(&PageQuery::parse(query))
    }

    #[test]
    fn what_is_looked_for_is_a_number_an_id_or_a_payer() {
        assert_eq!(of("find=1,204").number, Some(1_204));
        let bill = BillId { client_id: 3.into(), number: 77 };
        assert_eq!(of(&format!("find={bill}")).number, Some(77));
        let debt = Uuid::now_v7();
        assert_eq!(of(&format!("find={debt}&status=paid")).debt_id, Some(debt));
        assert_eq!(of("find=52998224725").payer.as_deref(), Some("52998224725"));
        assert_eq!(of("find=+Ana+").payer.as_deref(), Some("Ana"));
        assert_eq!(of("status=overdue").status, Some(Status::Overdue));
    }
}
