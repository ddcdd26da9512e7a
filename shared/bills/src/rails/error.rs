//! What can be wrong with a bill, a client's settings, or a code that was read.

use jiff::civil::Date;
use thiserror::Error;

use crate::Currency;

/// A rail cannot carry a bill.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RailError {
    /// The bill is in another currency.
    #[error("{rail} does not carry {currency}")]
    Currency {
        /// The rail's name.
        rail: &'static str,
        /// The bill's currency.
        currency: Currency,
    },
    /// Ways to be paid are set, and none of them is in the bill's currency.
    #[error("none of the ways to be paid that are set is in {0}, the bill's currency")]
    NoneIn(Currency),
    /// Nothing, less than nothing, or more than the rail's field holds.
    #[error("a {rail} carries 0.01 to {}, and the bill asks for {}", decimal(*.most), decimal(*.minor))]
    Amount {
        /// The rail's name.
        rail: &'static str,
        /// What the bill asks for.
        minor: i64,
        /// The largest amount that it carries.
        most: i64,
    },
    /// Before the first or after the last day that the factor of a boleto stands for.
    #[error("a boleto cannot be due on {0}: its factor covers 2000-07-03 to 2049-10-13")]
    DueDate(Date),
    /// Whoever reads the factor of a boleto on the day of issue takes it for another day.
    #[error(
        "a boleto of {issued_on} cannot be due on {due_on}: banks read its factor as a day from 3000 days before to 5500 days after"
    )]
    Unreadable {
        /// The printed due date.
        due_on: Date,
        /// The day of issue.
        issued_on: Date,
    },
    /// The bill's number has more digits than the layout leaves for it.
    #[error("bill number {number} has more than the {digits} digits that the boleto's layout leaves for it")]
    Number {
        /// The bill's number.
        number: u64,
        /// Digits of "our number".
        digits: usize,
    },
}

/// A client's settings for a rail are not right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Something else than digits, or more of them than there is room for.
    #[error("{field}: {value:?} is not made of {}", digits(*.min, *.max))]
    Digits {
        /// Its name.
        field: &'static str,
        /// What was given.
        value: String,
        /// Fewest digits.
        min: usize,
        /// Most digits.
        max: usize,
    },
    /// The free field's layout is not 25 places of `A`, `C`, `N`, `W` and digits, with at least one `N`, no letter apart.
    #[error(
        "layout {0:?}: 25 places of A (agency), C (account), W (wallet), N (our number) and digits; each letter in one piece, N needed"
    )]
    Layout(String),
    /// Too long, empty, or with characters that the rail does not know.
    #[error("{field}: {value:?} cannot be used")]
    Text {
        /// Its name.
        field: &'static str,
        /// What was given.
        value: String,
    },
    /// Wrong check digits, wrong form or wrong length.
    #[error("{0:?} is no IBAN")]
    Iban(String),
}

/// Refuses what is not made of so many digits.
pub(super) fn just_digits(field: &'static str, value: &str, min: usize, max: usize) -> Result<(), SettingsError> {
    let fits = (min..=max).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(()) } else { Err(SettingsError::Digits { field, value: value.to_owned(), min, max }) }
}

/// Minor units as hundredths of the major one.
fn decimal(minor: i64) -> String {
    let (sign, minor) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

/// How many digits there may be, in words.
fn digits(min: usize, max: usize) -> String {
    if min == max { format!("{max} digits") } else { format!("{min} to {max} digits") }
}

/// A code that was read or typed is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// More or fewer digits than there must be.
    #[error("{found} digits instead of {wanted}")]
    Length {
        /// Digits found.
        found: usize,
        /// Digits wanted.
        wanted: usize,
    },
    /// Something that is neither digit nor separator.
    #[error("a character at byte {at} that is no digit")]
    NotADigit {
        /// Counted from 0.
        at: usize,
    },
    /// A check digit or checksum does not belong to the rest: something is mistyped.
    #[error("{0} is wrong")]
    Check(&'static str),
    /// Not built as the rail wants it.
    #[error("this is no {0}")]
    Form(&'static str),
}
