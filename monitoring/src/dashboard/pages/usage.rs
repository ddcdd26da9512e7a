//! What messages cost, a bar a day.

use askama::Template;
use futures::future::BoxFuture;
use gristmill_board::{Entry, Error, Page, PageBody, PageQuery, Visit};
use gristmill_clients::settings;
use gristmill_messages::usage;
use gristmill_pipelines::messages::Credits;
use jiff::{Timestamp, ToSpan as _, civil::Date};

use super::clients::Clients;
use crate::dashboard::{app::App, format};

/// Days that are shown when none are asked for.
const DAYS: i32 = 30;
/// Days that can be shown: two years.
const MOST: i32 = 731;

/// What messages cost, a bar a day.
pub(in crate::dashboard) struct UsagePage(pub(in crate::dashboard) App);

impl Page for UsagePage {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("usage", "Usage").under("Back office"))
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

#[derive(Template, Default)]
#[template(path = "usage.html")]
struct Inside {
    clients: Clients,
    time_zone: String,
    from: String,
    to: String,
    /// Why other days are shown than those that were asked for.
    note: Option<&'static str>,
    /// Where there are no messages in these days: the last day that has some.
    newest: Option<String>,
    days: Vec<Bar>,
    messages: i64,
    credits: String,
    /// Credits of the highest day.
    top: String,
}

struct Bar {
    day: String,
    messages: i64,
    credits: String,
    /// Of the highest day, in percent.
    height: i128,
}

async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let asked = &visit.query;
    let clients = Clients::of(app, asked).await?;
    let Some(client) = clients.chosen else { return PageBody::of("Usage", &Inside { clients, ..Inside::default() }) };
    let settings = settings::find(&app.pool, client).await?;
    let today = settings.date_of(Timestamp::now())?;
    let ((from, to), note) = span(asked, today);
    let days = usage::daily(&app.pool, client, &settings.time_zone, from, to).await?;
    let messages = days.iter().map(|day| day.messages).sum();
    let newest = match messages {
        0 => usage::last_day(&app.pool, client, &settings.time_zone).await?,
        _ => None,
    };
    let top = days.iter().map(|day| day.credits).max().unwrap_or(0);
    let page = Inside {
        clients,
        time_zone: settings.time_zone,
        from: from.to_string(),
        to: to.to_string(),
        note,
        newest: newest.map(|day| day.to_string()),
        messages,
        credits: credits(days.iter().map(|day| day.credits).sum()),
        top: format!("{} credits", credits(top)),
        days: days
            .iter()
            .map(|day| Bar {
                day: day.day.to_jiff().to_string(),
                messages: day.messages,
                credits: credits(day.credits),
                height: format::percent(day.credits, top),
            })
            .collect(),
    };
    PageBody::of("Usage", &page)
}

/// The first and the last day that are shown, and what is said where they are not those that were asked for.
fn span(asked: &PageQuery, today: Date) -> ((Date, Date), Option<&'static str>) {
    let to: Date = asked.value("to").unwrap_or(today);
    let usual = to.saturating_sub((DAYS - 1).days());
    let from: Date = asked.value("from").unwrap_or(usual);
    let wrong = |name: &str| asked.get(name).is_some() && asked.value::<Date>(name).is_none();
    if wrong("from") || wrong("to") {
        return ((usual, to), Some("A day looks like 2026-01-31."));
    }
    if from > to {
        return ((usual, to), Some("The first day is after the last one: these are the days before the last one."));
    }
    let earliest = to.saturating_sub((MOST - 1).days());
    if from < earliest {
        return ((earliest, to), Some("Two years are shown at a time: these are the last ones."));
    }
    ((from, to), None)
}

fn credits(twentieths: i64) -> String {
    let text = Credits::from_twentieths(twentieths).to_string();
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    format!("{}{rest}", whole.parse::<i64>().map_or_else(|_| whole.to_owned(), format::count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_credits_are_parted() {
        assert_eq!([3, 20, 897_695, 25_000_000].map(credits), ["0.15", "1", "44,884.75", "1,250,000"]);
    }

    #[test]
    fn any_days_up_to_two_years_are_shown() {
        let today = jiff::civil::date(2026, 11, 29);
        let of = |query: &str| {
            let ((from, to), note) = span(&PageQuery::parse(query), today);
            (format!("{from} {to}"), note.is_some())
        };
        assert_eq!(of(""), ("2026-10-31 2026-11-29".to_owned(), false));
        assert_eq!(of("from=2024-12-01&to=2025-01-31"), ("2024-12-01 2025-01-31".to_owned(), false));
        assert_eq!(of("to=2025-01-31"), ("2025-01-02 2025-01-31".to_owned(), false));
        assert_eq!(of("from=2026-12-01&to=2025-01-31"), ("2025-01-02 2025-01-31".to_owned(), true));
        assert_eq!(of("from=0001-01-01"), ("2024-11-29 2026-11-29".to_owned(), true));
        assert_eq!(of("from=yesterday"), ("2026-10-31 2026-11-29".to_owned(), true));
    }
}
