//! Mails: written, signed, sent once, and looked up again.
//!
//! An [`Email`] says who is told what. [`Mailer::deliver`] takes any number of them: it enters each in the table `mails`
//! (one row a client, kind and reference), sends those that nobody has sent, by SMTP or into the object store, and writes
//! down what became of them. The worker sends; the API reads ([`read`]) and is told of bounces ([`suppressions`]).

mod email;
mod kind;

mod deliver;
pub mod jobs;
mod mailer;
mod obsolete;
mod resend;
mod rows;

mod archive;
mod dkim;
mod rate;
mod smtp;

pub mod operator;
pub mod read;
pub mod suppressions;

pub use archive::{DropError, eml, prune};
pub use deliver::{DeliverError, Report, SendContext};
pub use dkim::DkimError;
pub use email::{Attachment, BillFacts, Content, Dun, Email, EndpointFacts, Payment, UploadFacts};
pub use kind::{Kind, State};
pub use mailer::{ConfigError, Mailer};
pub use obsolete::{Left, end};
pub use rate::Rate;
pub use resend::{ResendOutcome, resend};
pub use smtp::ServerError;
