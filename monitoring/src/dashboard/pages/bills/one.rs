//! One bill: what it asks for, what was paid, and what happened when.

use askama::Template;
use gristmill_billing::{
    BillId,
    bills::{self, Bill, Status},
    paid::{self, Payment},
};
use gristmill_board::{Error, PageBody, Visit};
use gristmill_clients::settings;
use gristmill_mail::{
    Kind,
    read::{self, Mail},
};
use gristmill_platform::keys;
use jiff::Timestamp;

use crate::dashboard::{app::App, format};

/// Payments that are shown.
const PAYMENTS: u32 = 200;

#[derive(Template)]
#[template(path = "bill.html")]
struct One<'a> {
    visit: &'a Visit,
    client: String,
    bill: Bill,
    payments: Vec<Payment>,
    mails: Vec<Mail>,
    events: Vec<Event>,
}

/// What happened to it.
struct Event {
    /// A moment, where one is known; else a day of its client's calendar.
    at: Option<Timestamp>,
    day: String,
    what: String,
}

impl One<'_> {
    fn id(&self) -> uuid::Uuid {
        self.bill.id().uuid()
    }

    fn open_minor(&self) -> i64 {
        match self.bill.status {
            Status::Open | Status::Overdue => (self.bill.amount_minor - self.bill.paid_minor).max(0),
            Status::Paid | Status::Cancelled => 0,
        }
    }

    /// An open bill of which nothing was paid.
    fn can_be_cancelled(&self) -> bool {
        matches!(self.bill.status, Status::Open | Status::Overdue)
            && self.bill.paid_minor == 0
            && self.payments.is_empty()
    }
}

pub(in crate::dashboard::pages) async fn page(app: &App, visit: &Visit, id: &str) -> Result<Option<PageBody>, Error> {
    let Ok(id) = id.parse::<BillId>() else { return Ok(None) };
    let settings = settings::find(&app.pool, id.client_id).await?;
    let today = settings.date_of(Timestamp::now())?;
    let Some(bill) = bills::find(&app.pool, id, today).await? else { return Ok(None) };
    let payments = paid::of_debt(&app.pool, id.client_id, bill.debt_id, PAYMENTS).await?;
    let next = BillId { number: id.number + 1, ..id };
    let mails = read::of_bill(&app.pool, id.client_id, id.uuid(), next.uuid()).await?;
    let client = keys::client_names(&app.pool, &[id.client_id]).await?.pop().map_or_else(String::new, |(_, name)| name);
    let zone = jiff::tz::TimeZone::get(&settings.time_zone)?;
    let events = events(&bill, &payments, &mails, &zone);
    let title = format!("Bill {}", bill.number);
    PageBody::of(title, &One { visit, client, bill, payments, mails, events })
}

/// What is known to have happened, in its order. What a bill becomes without anybody's doing is its due day.
fn events(bill: &Bill, payments: &[Payment], mails: &[Mail], zone: &jiff::tz::TimeZone) -> Vec<Event> {
    let on =
        |day: jiff_sqlx::Date, what: &str| Event { at: None, day: day.to_jiff().to_string(), what: what.to_owned() };
    let at =
        |at: Timestamp, what: String| Event { at: Some(at), day: at.to_zoned(zone.clone()).date().to_string(), what };
    let mut events = vec![on(bill.issued_on, "issued")];
    for mail in mails {
        let what = match mail.kind {
            Kind::BillNew => "mailed",
            Kind::BillReminder => "reminded",
            Kind::BillOverdue => "reminded that it is overdue",
            _ => "receipt mailed",
        };
        let what = match mail.went_nowhere() {
            true => format!("mail to {} kept, not sent: there is no mail server", mail.recipient),
            false => format!("{what} to {}", mail.recipient),
        };
        events.extend(mail.sent_at.map(|sent| at(sent, what)));
    }
    events.push(on(bill.due_on, "due"));
    for payment in payments {
        let amount = format::money(payment.amount_minor, &bill.currency);
        events.push(at(payment.paid_at.to_jiff(), format!("{amount} paid by {}", payment.paid_by)));
    }
    // Days come before moments of the same day; what is equal keeps its order.
    events.sort_by(|one, other| one.day.cmp(&other.day).then(one.at.cmp(&other.at)));
    events
}
