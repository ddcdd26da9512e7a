//! Mails: written, signed, sent once, and looked up again.
//!
//! A [`Letter`] says who is told what. [`Mailer::deliver`] takes any number of them: it enters each in the table `mails`
//! (one row a client, kind and reference), sends those that nobody has sent, by SMTP or into the object store, and writes
//! down what became of them. The worker sends; the API reads ([`read`]) and is told of bounces ([`suppress`]).

mod kind;
mod letter;

mod deliver;
pub mod jobs;
mod mailer;
mod resend;
mod rows;
mod unwanted;

mod dkim;
mod keep;
mod rate;
mod smtp;

pub mod operator;
pub mod read;
pub mod suppress;

pub use deliver::{DeliverError, Report, Turn};
pub use dkim::DkimError;
pub use keep::{DropError, eml, prune};
pub use kind::{Kind, State};
pub use letter::{Attachment, BillFacts, Content, Dun, EndpointFacts, Letter, Payment, UploadFacts};
pub use mailer::{ConfigError, Mailer};
pub use rate::Rate;
pub use resend::{Resent, resend};
pub use smtp::ServerError;
pub use unwanted::{Left, end};
