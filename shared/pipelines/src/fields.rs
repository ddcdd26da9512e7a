//! Checks of single fields that kinds share. Each takes a trimmed field and says what is wrong with it.

mod amount;
mod blank;
mod date;
mod email;
mod identifier;

use memchr::memchr;
use uuid::Uuid;

use crate::{
    Decimal, ReasonCode, Values,
    reject::{Fault, excerpt},
};

pub use amount::MAX_AMOUNT_MINOR;
pub(crate) use amount::{decimals, open, plain_number, two_readings, within, without_currency, written};
pub use blank::trim;
pub(crate) use blank::trim_bytes;
pub use date::days_of;
pub(crate) use date::{clock, date, day_in_order};
pub use email::is_address;
pub(crate) use identifier::shortened as is_shortened;

/// A trimmed field and the kind's name for its column.
#[derive(Clone, Copy)]
pub(crate) struct Field<'r> {
    pub(crate) column: &'static str,
    pub(crate) bytes: &'r [u8],
    /// Known to be ASCII without NULs.
    pub(crate) plain: bool,
    /// How amounts and dates are written in its file.
    pub(crate) values: Values,
}

impl<'r> Field<'r> {
    /// Text of at most `max` characters that Postgres can store.
    #[inline]
    pub(crate) fn text(self, max: usize) -> Result<&'r [u8], Fault> {
        let Self { bytes, plain, .. } = self;
        if bytes.is_empty() || !(plain || storable(bytes)) {
            return Err(self.fault(ReasonCode::MissingField, ""));
        }
        if bytes.len() > max && (plain || String::from_utf8_lossy(bytes).chars().count() > max) {
            return Err(self.too_long(max));
        }
        Ok(bytes)
    }

    /// Text that Postgres can store, empty or not.
    pub(crate) fn any_text(self) -> Result<&'r str, Fault> {
        match std::str::from_utf8(self.bytes) {
            Ok(text) if self.plain || memchr(0, self.bytes).is_none() => Ok(text),
            _ => Err(self.fault(ReasonCode::NulByte, "")),
        }
    }

    /// Of the form 8-4-4-4-12, in either case.
    pub(crate) fn uuid(self) -> Result<Uuid, Fault> {
        let parsed = if self.bytes.len() == 36 { Uuid::try_parse_ascii(self.bytes).ok() } else { None };
        parsed.ok_or_else(|| self.fault(ReasonCode::BadUuid, "a UUID like ea23f2ca-663a-4266-a742-9da4c9f4fcb3"))
    }

    /// A positive amount in the currency's major unit; returned in hundredths.
    pub(crate) fn amount(self) -> Result<i64, Fault> {
        let amount = match self.values.decimal {
            None => amount::unsigned(self.bytes.strip_prefix(b"+").unwrap_or(self.bytes))
                .or_else(|| amount::in_one_way(self.bytes)),
            Some(_) => self.values.amount(self.bytes),
        };
        amount.filter(|amount| *amount > 0).ok_or_else(|| {
            self.no_amount([
                "an amount greater than 0 and up to 9999999999.99, with at most two decimals after a point and no \
                 separators of thousands, like 7811 or 1000.50",
                "an amount greater than 0 and up to 9,999,999,999.99, with at most two decimals after a point, as the \
                 other amounts of the file, like 7811 or 1,000.50",
                "an amount greater than 0 and up to 9.999.999.999,99, with at most two decimals after a comma, as the \
                 other amounts of the file, like 7811 or 1.000,50",
            ])
        })
    }

    /// An amount of any sign in the currency's major unit; returned in hundredths.
    pub(crate) fn signed_amount(self) -> Result<i64, Fault> {
        let amount = match self.values.decimal {
            None => signed(self.bytes).or_else(|| amount::in_one_way(self.bytes)),
            Some(_) => self.values.amount(self.bytes),
        };
        amount.ok_or_else(|| {
            self.no_amount([
                "an amount up to 9999999999.99, with at most two decimals after a point and no separators of thousands, \
                 like 12.99 or -4.50",
                "an amount up to 9,999,999,999.99, with at most two decimals after a point, as the other amounts of the \
                 file, like 12.99 or -1,000.50",
                "an amount up to 9.999.999.999,99, with at most two decimals after a comma, as the other amounts of the \
                 file, like 12,99 or -1.000,50",
            ])
        })
    }

    /// Three letters; returned in capitals.
    pub(crate) fn currency(self) -> Result<[u8; 3], Fault> {
        currency(self.bytes).ok_or_else(|| self.fault(ReasonCode::BadCurrency, "three letters of ISO 4217, like BRL"))
    }

    /// A text of at most `max` characters that is somebody's name for something; refused with `code` where a spreadsheet
    /// has shortened it.
    #[inline]
    pub(crate) fn identifier(self, max: usize, code: ReasonCode) -> Result<&'r [u8], Fault> {
        let id = self.text(max)?;
        if is_shortened(id) { Err(self.shortened(code)) } else { Ok(id) }
    }

    /// A date of the Gregorian calendar, from 0001-01-01 on; returned in days since 2000-01-01.
    pub(crate) fn date(self) -> Result<i32, Fault> {
        let ordered = || date::ordered(self.bytes, self.values.dates?).filter(|_| self.values.has_year(self.bytes));
        date(self.bytes).or_else(ordered).ok_or_else(|| self.no_date())
    }

    /// A moment as RFC 3339 or a database writes it; without an offset it is UTC. Returned in microseconds since
    /// 2000-01-01; what is finer is cut off.
    pub(crate) fn timestamp(self) -> Result<i64, Fault> {
        date::timestamp(self.bytes)
            .ok_or_else(|| self.fault(ReasonCode::BadTimestamp, "a date and time like 2024-04-29T02:08:29.375Z"))
    }

    /// What [`is_address`] is.
    pub(crate) fn email(self) -> Result<&'r [u8], Fault> {
        let text = self.text(email::MAX_ADDRESS)?;
        if email::is_form(text) {
            Ok(text)
        } else {
            Err(self.fault(ReasonCode::BadEmail, "an address like name@example.com"))
        }
    }

    /// What to say of what is no amount: what is expected where no decimal mark is known, where it is a point, and a comma.
    #[cold]
    fn no_amount(self, [unknown, point, comma]: [&str; 3]) -> Fault {
        let readings = match self.values.decimal {
            None => two_readings(self.bytes, true),
            Some(_) => self.values.readings(self.bytes),
        };
        let expected = match (self.values.decimal, readings) {
            (_, Some(readings)) => &one_reading(&readings),
            (None, None) => unknown,
            (Some(Decimal::Point), None) => point,
            (Some(Decimal::Comma), None) => comma,
        };
        self.fault(ReasonCode::BadAmount, expected)
    }

    #[cold]
    fn no_date(self) -> Fault {
        let expected = match self.values.dates {
            None => "a date of the calendar as YYYY-MM-DD, like 2024-01-19",
            Some(order) => {
                &format!("a date of the calendar as YYYY-MM-DD or, as the other dates of the file, {}", order.example())
            }
        };
        self.fault(ReasonCode::BadDate, expected)
    }

    /// `code`, unless there is something more basic to say about the field.
    #[cold]
    pub(crate) fn fault(self, code: ReasonCode, expected: &str) -> Fault {
        let Self { column, bytes, .. } = self;
        let (code, message) = if bytes.is_empty() {
            (ReasonCode::MissingField, format!("{column} is empty"))
        } else if std::str::from_utf8(bytes).is_err() {
            return self.not_utf8();
        } else if memchr(0, bytes).is_some() {
            (ReasonCode::NulByte, format!("{column} holds a NUL character: {}", excerpt(bytes)))
        } else {
            (code, format!("{column} is {}, expected {expected}", excerpt(bytes)))
        };
        Fault { column: Some(column), code, message }
    }

    /// What to say of an identifier that is [`is_shortened`].
    #[cold]
    pub(crate) fn shortened(self, code: ReasonCode) -> Fault {
        let message = format!(
            "{} is {}: a spreadsheet has shortened it and its digits are lost; format the column as text there, and \
             export it again",
            self.column,
            excerpt(self.bytes)
        );
        Fault { column: Some(self.column), code, message }
    }

    #[cold]
    fn not_utf8(self) -> Fault {
        let message =
            format!("{} is not UTF-8: {}; save the file with UTF-8 encoding", self.column, excerpt(self.bytes));
        Fault { column: Some(self.column), code: ReasonCode::NotUtf8, message }
    }

    #[cold]
    fn too_long(self, max: usize) -> Fault {
        let message =
            format!("{} is longer than {max} characters; it begins with {}", self.column, excerpt(self.bytes));
        Fault { column: Some(self.column), code: ReasonCode::FieldTooLong, message }
    }
}

/// What is expected instead of an amount with [`two_readings`].
pub(crate) fn one_reading((thousands, decimals): &(String, String)) -> String {
    format!("an amount that reads in one way only: write {thousands} or {decimals}, whichever is meant")
}

/// An amount of any sign, in hundredths.
pub(crate) fn signed(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    amount::unsigned(digits).map(|amount| sign * amount)
}

/// Three letters, in capitals.
pub(crate) fn currency(bytes: &[u8]) -> Option<[u8; 3]> {
    let code: [u8; 3] = bytes.try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|letter| letter.to_ascii_uppercase()))
}

/// UTF-8 without NULs.
fn storable(bytes: &[u8]) -> bool {
    memchr(0, bytes).is_none() && std::str::from_utf8(bytes).is_ok()
}

#[cfg(test)]
mod tests;
