//! The jobs that send mails: payloads of ids. Their bodies are in the worker.

use std::time::Duration;

use gristmill_core::ClientId;
use gristmill_queue::Job;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Kind;

/// One mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMail {
    /// Whose mail it is.
    pub client_id: ClientId,
    /// What it is about.
    pub kind: Kind,
    /// About which: an upload's id, or a bill's, with `/` and the step, or the payment, where there are several.
    #[serde(rename = "ref")]
    pub reference: String,
}

impl Job for SendMail {
    const NAME: &'static str = "mail.send";
    const QUEUE: &'static str = "mail";
    const PRIORITY: u8 = 3;
    /// With the queue's backoff they last for half a day: greylisting and a broken server pass.
    const MAX_ATTEMPTS: u16 = 80;
    /// Longer than the server may take for the answer that ends a mail.
    const TIMEOUT: Duration = Duration::from_secs(900);
}

/// The mails of a client's bills with these numbers: at most some hundred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendBills {
    /// Whose bills they are.
    pub client_id: ClientId,
    /// New bill, reminder, overdue.
    pub kind: Kind,
    /// The first bill.
    pub from_number: i64,
    /// The last one.
    pub to_number: i64,
    /// Which step of reminding or dunning: a bill has one mail a kind and step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u16>,
    /// Only those that are payable on this day, and not paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payable_on: Option<Date>,
}

impl Job for SendBills {
    const NAME: &'static str = "mail.bills";
    const QUEUE: &'static str = "mail";
    const MAX_ATTEMPTS: u16 = SendMail::MAX_ATTEMPTS;
    const TIMEOUT: Duration = SendMail::TIMEOUT;
}

/// Mails that a job did not send, and will not: those that were never begun are entered as failed, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterUnsent {
    /// What the job was to send.
    pub of: MailJob,
    /// Why it did not: the mails' `last_error`.
    pub reason: String,
}

/// A job that sends mails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailJob {
    /// One mail.
    Mail(SendMail),
    /// Those of a slice of bills.
    Bills(SendBills),
}

impl Job for EnterUnsent {
    const NAME: &'static str = "mail.unsent";
    const QUEUE: &'static str = "mail";
    const MAX_ATTEMPTS: u16 = SendMail::MAX_ATTEMPTS;
}
