//! What is to be told to whom, and how it becomes a mail.

mod compose;
mod facts;
mod translations;

pub(crate) use compose::{ComposeError, ComposedEmail, compose, with_ascii_domain};
pub use facts::{BillFacts, Content, Dun, EndpointFacts, Payment, UploadFacts};

use std::fmt;

use gristmill_bills::Language;
use gristmill_core::Source;

use crate::Kind;

/// A mail that is to be sent.
pub struct Email {
    /// What it is about: of one client and kind there is one mail about it, ever.
    pub reference: String,
    /// The recipient's address.
    pub address: String,
    /// The recipient's name.
    pub name: Option<String>,
    /// What language it is written in.
    pub language: Language,
    /// Whom replies go to, if not to the sender; left out of the mail where it is no address.
    pub reply_to: Option<String>,
    /// What it says.
    pub content: Content,
    /// Makes what is attached, on a thread where it may take its time; not called when the mail was sent before.
    pub attachment: Option<Box<dyn FnOnce() -> Result<Attachment, Source> + Send>>,
}

/// A file that goes with a mail.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Such as `bill-1042.pdf`.
    pub filename: String,
    /// Such as `application/pdf`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Email {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.content.kind()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("kind", &self.kind()).field("reference", &self.reference).finish_non_exhaustive()
    }
}
