use gristmill_bills::{Money, rails};
use jiff::civil::Date;
use uuid::Uuid;

use crate::Kind;

/// What a mail says; its kind follows from it.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A new bill.
    Bill(BillFacts),
    /// A bill that is due soon, or was.
    Dun(Dun, BillFacts),
    /// A payment of a bill has arrived.
    Receipt(Payment, BillFacts),
    /// An upload is completed.
    Completed(UploadFacts),
    /// An upload has failed.
    Failed(UploadFacts),
    /// A webhook's endpoint is disabled.
    Disabled(EndpointFacts),
}

/// Why a payer is reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dun {
    /// The bill is due in some days.
    Reminder,
    /// The bill was due some days ago.
    Overdue,
}

/// A bill, as far as its mail shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct BillFacts {
    /// Its number, as it is written.
    pub number: String,
    /// Who bills.
    pub issuer: String,
    /// Who pays.
    pub payer: String,
    /// What was billed.
    pub amount: Money,
    /// What was paid of it before, when something was.
    pub paid: Option<Money>,
    /// Until when it is to be paid.
    pub due: Date,
    /// How it can be paid.
    pub ways: Vec<rails::Payment>,
}

impl BillFacts {
    /// What is still to be paid, when a part of it was paid: that part and the rest.
    pub(super) fn partly_paid(&self) -> Option<(Money, Money)> {
        let paid = self.paid?;
        let rest = Money { minor: self.amount.minor - paid.minor, ..paid };
        (paid.minor > 0 && rest.minor > 0).then_some((paid, rest))
    }
}

/// A payment that has arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// What was paid.
    pub amount: Money,
    /// When.
    pub on: Date,
    /// What is still to be paid of the bill; nothing: it is settled.
    pub rest: Option<Money>,
}

/// An upload, as far as its mail shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadFacts {
    /// Its id.
    pub id: Uuid,
    /// The file, as its client named it.
    pub filename: Option<String>,
    /// Records looked at.
    pub read: i64,
    /// Good ones.
    pub accepted: i64,
    /// Bad ones.
    pub rejected: i64,
    /// Those that were there before.
    pub duplicate: i64,
    /// Of those, the ones that say something else than the row that counts.
    pub conflicting_duplicate: i64,
    /// Why it failed, for people.
    pub detail: Option<String>,
}

/// A webhook's endpoint that is disabled, as far as its mail shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointFacts {
    /// Its id.
    pub id: Uuid,
    /// Where it is called.
    pub url: String,
    /// The day of the first failure that no success has followed.
    pub failing_since: Date,
    /// What went wrong last.
    pub error: Option<String>,
    /// Deliveries that have failed or were not tried any more.
    pub undelivered: i64,
}

impl Content {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Bill(_) => Kind::BillNew,
            Self::Dun(Dun::Reminder, _) => Kind::BillReminder,
            Self::Dun(Dun::Overdue, _) => Kind::BillOverdue,
            Self::Receipt(..) => Kind::PaymentReceipt,
            Self::Completed(_) => Kind::UploadCompleted,
            Self::Failed(_) => Kind::UploadFailed,
            Self::Disabled(_) => Kind::WebhookDisabled,
        }
    }
}
