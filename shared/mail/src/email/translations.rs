//! What mails say, by language: a page of words, which the templates lay out.

mod en;
mod es;
mod pt_br;

use gristmill_bills::{Language, Money, dates, rails::Payment};
use jiff::civil::Date;

use super::{BillFacts, Content, EndpointFacts, UploadFacts};

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
        Language::Portuguese => pt_br::page(content),
        Language::English => en::page(content),
        Language::Spanish => es::page(content),
    };
    // A name with a line end in it must not begin another header.
    page.subject = page.subject.replace(|c: char| c.is_control(), " ");
    page
}

/// The facts of a bill under these labels: number, amount, and where a part was paid that and the rest, due date.
fn bill_facts(language: Language, bill: &BillFacts, labels: [&'static str; 5]) -> Vec<(&'static str, String)> {
    let [number, amount, paid, rest, due] = labels;
    let mut facts = vec![(number, bill.number.clone()), (amount, money(language, bill.amount))];
    if let Some((part, open)) = bill.partly_paid() {
        facts.extend([(paid, money(language, part)), (rest, money(language, open))]);
    }
    facts.push((due, date(language, bill.due)));
    facts
}

/// How a bill is paid, under these labels: boleto, PIX, transfer.
fn bill_codes(bill: &BillFacts, labels: [&'static str; 3]) -> Vec<(&'static str, String)> {
    let [boleto, pix, transfer] = labels;
    let code = |way: &Payment| match way {
        Payment::Boleto(slip) => (boleto, slip.linha_digitavel.to_string()),
        Payment::Pix { code } => (pix, code.clone()),
        Payment::Epc { iban, reference, .. } => (transfer, format!("{iban} · {reference}")),
    };
    bill.ways.iter().map(code).collect()
}

fn money(language: Language, money: Money) -> String {
    money.read(language)
}

fn date(language: Language, date: Date) -> String {
    dates::short(date, language)
}

fn integer(language: Language, number: u64) -> String {
    let separator = if language == Language::English { ',' } else { '.' };
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// The counts of an upload under these labels: read, accepted, rejected, duplicate, id; and the word for duplicates that say
/// something else than the row that counts.
fn upload_facts(language: Language, upload: &UploadFacts, labels: [&'static str; 6]) -> Vec<(&'static str, String)> {
    let [read, accepted, rejected, duplicate, id, conflicting] = labels;
    let count = |count: i64| integer(language, count.unsigned_abs());
    let duplicates = match upload.conflicting_duplicate {
        0 => count(upload.duplicate),
        some => format!("{} ({} {conflicting})", count(upload.duplicate), count(some)),
    };
    vec![
        (read, count(upload.read)),
        (accepted, count(upload.accepted)),
        (rejected, count(upload.rejected)),
        (duplicate, duplicates),
        (id, upload.id.to_string()),
    ]
}

/// What is known of an endpoint under these labels: failing since, last error, not delivered, id.
fn endpoint_facts(
    language: Language,
    endpoint: &EndpointFacts,
    labels: [&'static str; 4],
) -> Vec<(&'static str, String)> {
    let [since, error, undelivered, id] = labels;
    let mut facts = vec![(since, date(language, endpoint.failing_since))];
    facts.extend(endpoint.error.clone().map(|text| (error, text)));
    facts.push((undelivered, integer(language, endpoint.undelivered.unsigned_abs())));
    facts.push((id, endpoint.id.to_string()));
    facts
}

/// The file's name, or the upload's id where it has none.
fn file(upload: &UploadFacts) -> String {
    upload.filename.clone().unwrap_or_else(|| upload.id.to_string())
}
