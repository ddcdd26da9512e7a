//! What messages cost, a bar a day.

use askama::Template;
use gristmill_billing::{settings, usage};
use gristmill_pipelines::messages::Credits;
use jiff::{Timestamp, ToSpan as _};

use super::clients::Clients;
use crate::dashboard::{
    app::App,
    page::{Asked, Fault, Inside},
    say,
};

/// Days that are shown.
const DAYS: i32 = 30;

#[derive(Template)]
#[template(path = "usage.html")]
struct Page {
    clients: Clients,
    time_zone: String,
    days: Vec<Bar>,
    messages: i64,
    credits: String,
}

struct Bar {
    day: String,
    messages: i64,
    credits: String,
    /// Of the highest day, in percent.
    height: i128,
}

pub(super) async fn page(app: &App, asked: &Asked) -> Result<Option<Inside>, Fault> {
    let clients = Clients::of(app, asked).await?;
    let Some(client) = clients.chosen else {
        let page = Page { clients, time_zone: String::new(), days: Vec::new(), messages: 0, credits: "0".into() };
        return Inside::of("Usage", &page);
    };
    let settings = settings::find(&app.pool, client).await?;
    let today = settings.date_of(Timestamp::now())?;
    let days =
        usage::daily(&app.pool, client, &settings.time_zone, today.saturating_sub((DAYS - 1).days()), today).await?;
    let top = days.iter().map(|day| day.credits).max().unwrap_or(0);
    let page = Page {
        clients,
        time_zone: settings.time_zone,
        messages: days.iter().map(|day| day.messages).sum(),
        credits: credits(days.iter().map(|day| day.credits).sum()),
        days: days
            .iter()
            .map(|day| Bar {
                day: day.day.to_jiff().to_string(),
                messages: day.messages,
                credits: credits(day.credits),
                height: say::percent(day.credits, top),
            })
            .collect(),
    };
    Inside::of("Usage", &page)
}

fn credits(twentieths: i64) -> String {
    Credits::from_twentieths(twentieths).to_string()
}
