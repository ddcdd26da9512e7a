//! What is known of one bill.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Money, rails::Payment};

/// What is known of one bill before anybody says how it is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillFacts {
    /// Counts the client's bills. Every rail carries it, so that a payment finds its bill.
    pub number: u64,
    /// Who pays.
    pub payer: Party,
    /// What was billed.
    pub amount: Money,
    /// What was paid of it before, in the minor unit of the amount.
    #[serde(default)]
    pub paid_minor: i64,
    /// It was withdrawn: nothing is to be paid.
    #[serde(default)]
    pub cancelled: bool,
    /// It is still to be paid, and its due date has passed.
    #[serde(default)]
    pub overdue: bool,
    /// The day of the billing run, in the client's time zone.
    pub issued_on: Date,
    /// The last day to pay without being late.
    pub due_on: Date,
    /// What the client calls the debt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What the payer owes for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl BillFacts {
    /// What is still to be paid: nothing when it was paid in full, or more than that.
    pub fn rest(&self) -> Money {
        Money { minor: self.amount.minor.saturating_sub(self.paid_minor).max(0), ..self.amount }
    }

    /// What was paid beyond its amount.
    pub fn overpaid(&self) -> Money {
        Money { minor: self.paid_minor.saturating_sub(self.amount.minor).max(0), ..self.amount }
    }

    /// Nothing is to be paid any more: it is paid in full, or cancelled.
    pub fn is_over(&self) -> bool {
        self.cancelled || self.rest().minor == 0
    }
}

/// Who pays or is paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Of a person or a company.
    pub name: String,
    /// CPF, CNPJ or another id, as it came; shown with the points of a CPF or CNPJ when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Where mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// As it stands on an envelope, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address: Vec<String>,
}

/// A bill with the ways to pay it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// What is known of it.
    pub facts: BillFacts,
    /// Who is paid.
    pub beneficiary: Party,
    /// One a rail.
    pub payments: Vec<Payment>,
}
