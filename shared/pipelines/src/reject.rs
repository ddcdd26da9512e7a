//! What is wrong with a record, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::splitter::HEAD_BYTES;

/// A record that is not loaded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Line of the file where the record starts, 1-based.
    pub line: u64,
    /// The column at fault, by the kind's own name for it; `None`: the record as a whole.
    pub column: Option<&'static str>,
    /// Why, for machines.
    pub code: ReasonCode,
    /// Why, for people: what was found and what is expected of `column`. Never holds a NUL.
    pub message: String,
    /// What is wrong with it beside that, in other columns; most records have one fault.
    pub others: Vec<Fault>,
    /// The record as it came, without its line end; of a record too long only the first bytes.
    pub raw: Vec<u8>,
}

impl Reject {
    /// The reject of a record of `bytes` bytes that begins with `head`.
    pub fn record_too_long(line: u64, bytes: u64, head: &[u8], max_record_bytes: usize) -> Self {
        Self {
            line,
            column: None,
            code: ReasonCode::RecordTooLong,
            message: format!(
                "the record has {bytes} bytes, at most {max_record_bytes} are allowed: perhaps a quote is not closed"
            ),
            others: Vec::new(),
            raw: head[..head.len().min(HEAD_BYTES)].to_vec(),
        }
    }
}

impl Reject {
    /// The reject of a record that took down whoever read it.
    pub fn poison(line: u64, raw: &[u8]) -> Self {
        Self {
            line,
            column: None,
            code: ReasonCode::Poison,
            message:
                "every worker that read the record died of it, at last with nothing else to read: it is left out, and \
                      this is a fault of ours that somebody should look into"
                    .to_owned(),
            others: Vec::new(),
            raw: raw.to_vec(),
        }
    }

    /// All that is wrong with it in one text.
    #[must_use]
    pub fn told(&self) -> String {
        told(&self.message, self.others.iter().map(|fault| fault.message.as_str()))
    }
}

/// The messages of a record's faults as one text, the first one's before all.
#[must_use]
pub fn told<'a>(first: &str, others: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = first.to_owned();
    for (n, message) in others.into_iter().enumerate() {
        text.push_str(if n == 0 { ". Also: " } else { "; " });
        text.push_str(message);
    }
    text
}

/// Why a field or a record was refused, without which record it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The column at fault, by the kind's own name for it; `None`: the record as a whole.
    pub column: Option<&'static str>,
    /// Why, for machines.
    pub code: ReasonCode,
    /// Why, for people. Never holds a NUL.
    pub message: String,
}

macro_rules! reason_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why a record was rejected. The words are part of the API: they never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ReasonCode {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $name,)+
        }

        impl ReasonCode {
            /// All of them, in the order in which a record is checked.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in the API, in the database and in CSV files of rejects.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// One sentence for people.
            pub const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)+).trim_ascii(),)+
                }
            }
        }
    };
}

reason_codes! {
    /// The record is longer than the limit; only its beginning is kept.
    RecordTooLong = "record_too_long",
    /// The line of a file of JSON is not an object, or a field of it is neither a text nor a number nor null.
    BadJson = "bad_json",
    /// The header, once more.
    HeaderAgain = "header_again",
    /// A quoted field is not closed, or its closing quote is followed by something else than a comma or the line's end.
    BadQuoting = "bad_quoting",
    /// The record has fewer columns than the header.
    TooFewColumns = "too_few_columns",
    /// The record has more columns than the header.
    TooManyColumns = "too_many_columns",
    /// The field is not valid UTF-8.
    NotUtf8 = "not_utf8",
    /// The field holds a NUL character, which the database cannot store.
    NulByte = "nul_byte",
    /// The field is empty, or holds only blanks and invisible characters.
    MissingField = "missing_field",
    /// The field is longer than its column allows.
    FieldTooLong = "field_too_long",
    /// Not a UUID of the form 8-4-4-4-12 hexadecimal digits.
    BadUuid = "bad_uuid",
    /// Not an amount up to 9,999,999,999.99 with at most two decimals after a point; of a debt, not one greater than 0.
    /// Nor one like 1.000, which is a thousand to some and 1.00 to others (as a number of JSON it is 1).
    BadAmount = "bad_amount",
    /// An id that a spreadsheet has shortened, like 1.23E+10: its digits are lost.
    BadId = "bad_id",
    /// Not a date of the calendar in the form YYYY-MM-DD; of a claim, M/D/YY, or one before 1900 or
    /// after the day on which it came.
    BadDate = "bad_date",
    /// Not a date and time as RFC 3339 or a database writes them; without an offset it is UTC.
    BadTimestamp = "bad_timestamp",
    /// Not an address that mail can go to.
    BadEmail = "bad_email",
    /// A number that a spreadsheet has shortened, or a CPF or CNPJ whose check digits are wrong (checked only when switched on).
    BadGovernmentId = "bad_government_id",
    /// Not a currency of three letters (ISO 4217).
    BadCurrency = "bad_currency",
    /// Not the letter D and four digits (claims).
    BadProcedure = "bad_procedure",
    /// Not the ten digits of a provider, or their check digit is wrong (claims; the digit is checked only when switched on).
    BadNpi = "bad_npi",
    /// Not a quadrant of the mouth (claims; checked only when switched on).
    BadQuadrant = "bad_quadrant",
    /// Amounts of a line contradict each other (claims; checked only when switched on).
    AmountsDisagree = "amounts_disagree",
    /// The lines of its claim, or those of them that one plan pays, come to more than an amount may be (claims).
    ClaimTooLarge = "claim_too_large",
    /// The key was there before: in this file, or in one loaded earlier; that row counts. Where this one says something else, `differs`
    /// names the columns.
    Duplicate = "duplicate",
    /// The row was to replace one that says something else (`on_duplicate=replace`), and that one is billed: it stays as it is.
    Billed = "billed",
    /// The record killed the worker that read it. Bisection of its chunk found it, and it alone is left out.
    Poison = "poison",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The beginning of a field, for a message: quoted, printable, at most 40 characters.
pub(crate) fn excerpt(field: &[u8]) -> String {
    const CHARS: usize = 40;
    // a character has at most 4 bytes
    let head = String::from_utf8_lossy(&field[..field.len().min(4 * CHARS + 4)]);
    let mut shown: String = head.chars().take(CHARS).collect();
    if shown.len() < field.len() && head.chars().nth(CHARS).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}
