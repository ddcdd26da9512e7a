//! What mails say, by language: a page of words, which the templates lay out.

mod en;
mod es;
mod numbers;
mod pt_br;

use std::str::FromStr;

use super::{BillFacts, Content, Money, UploadFacts};
use crate::UnknownWord;
use numbers::{date, integer, money};

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Brazilian Portuguese: `pt-BR`.
    PtBr,
    /// English: `en`.
    En,
    /// Spanish: `es`.
    Es,
}

impl Language {
    /// Its tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::PtBr => "pt-BR",
            Self::En => "en",
            Self::Es => "es",
        }
    }
}

impl FromStr for Language {
    type Err = UnknownWord;

    fn from_str(tag: &str) -> Result<Self, UnknownWord> {
        match tag {
            "pt-BR" => Ok(Self::PtBr),
            "en" => Ok(Self::En),
            "es" => Ok(Self::Es),
            other => Err(UnknownWord::new(other, &["pt-BR", "en", "es"])),
        }
    }
}

/// What a mail says, in the order in which it does.
pub(super) struct Page {
    pub(super) subject: String,
    pub(super) greeting: String,
    pub(super) paragraphs: Vec<String>,
    /// A label and its value.
    pub(super) facts: Vec<(&'static str, String)>,
    /// A label and what is to be copied.
    pub(super) codes: Vec<(&'static str, String)>,
    pub(super) closing: String,
}

pub(super) fn page(language: Language, content: &Content) -> Page {
    let mut page = match language {
        Language::PtBr => pt_br::page(content),
        Language::En => en::page(content),
        Language::Es => es::page(content),
    };
    // A name with a line end in it must not begin another header.
    page.subject = page.subject.replace(|c: char| c.is_control(), " ");
    page
}

/// The facts of a bill under these labels: number, amount, due date.
fn bill_facts(language: Language, bill: &BillFacts, labels: [&'static str; 3]) -> Vec<(&'static str, String)> {
    let [number, amount, due] = labels;
    vec![(number, bill.number.clone()), (amount, money(language, &bill.amount)), (due, date(language, bill.due))]
}

/// How a bill is paid, under these labels: boleto, PIX.
fn bill_codes(bill: &BillFacts, labels: [&'static str; 2]) -> Vec<(&'static str, String)> {
    labels
        .into_iter()
        .zip([&bill.digitable_line, &bill.pix])
        .filter_map(|(label, code)| Some((label, code.clone()?)))
        .collect()
}

/// The counts of an upload under these labels: read, accepted, rejected, duplicate, id.
fn upload_facts(language: Language, upload: &UploadFacts, labels: [&'static str; 5]) -> Vec<(&'static str, String)> {
    let counts = [upload.read, upload.accepted, upload.rejected, upload.duplicate];
    let values = counts.map(|count| integer(language, count.unsigned_abs())).into_iter().chain([upload.id.to_string()]);
    labels.into_iter().zip(values).collect()
}

/// The file's name, or the upload's id where it has none.
fn file(upload: &UploadFacts) -> String {
    upload.filename.clone().unwrap_or_else(|| upload.id.to_string())
}
