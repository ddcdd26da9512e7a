//! Checks of single fields that kinds share. Each takes a trimmed field and says what is wrong with it.

mod amount;

use memchr::memchr;
use uuid::Uuid;

use crate::{
    ReasonCode,
    reject::{Fault, excerpt},
};

pub use amount::MAX_AMOUNT_MINOR;
pub(crate) use amount::{decimals, within, without_exponent};

/// A trimmed field and the kind's name for its column.
#[derive(Clone, Copy)]
pub(crate) struct Field<'r> {
    pub(crate) column: &'static str,
    pub(crate) bytes: &'r [u8],
    /// Known to be ASCII without NULs.
    pub(crate) plain: bool,
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
        let digits = self.bytes.strip_prefix(b"+").unwrap_or(self.bytes);
        amount::unsigned(digits).filter(|amount| *amount > 0).ok_or_else(|| {
            self.fault(
                ReasonCode::BadAmount,
                "an amount greater than 0 and up to 9999999999.99, with at most two decimals after a point and no \
                 separators of thousands, like 7811 or 1000.50",
            )
        })
    }

    /// An amount of any sign in the currency's major unit; returned in hundredths.
    pub(crate) fn signed_amount(self) -> Result<i64, Fault> {
        let (sign, digits) = match self.bytes {
            [b'-', digits @ ..] => (-1, digits),
            [b'+', digits @ ..] | digits => (1, digits),
        };
        amount::unsigned(digits).map(|amount| sign * amount).ok_or_else(|| {
            self.fault(
                ReasonCode::BadAmount,
                "an amount up to 9999999999.99, with at most two decimals after a point and no separators of thousands, \
                 like 12.99 or -4.50",
            )
        })
    }

    /// Three capital letters.
    pub(crate) fn currency(self) -> Result<&'r [u8], Fault> {
        match self.bytes {
            code if code.len() == 3 && code.iter().all(u8::is_ascii_uppercase) => Ok(code),
            _ => Err(self.fault(ReasonCode::BadCurrency, "three capital letters of ISO 4217, like BRL")),
        }
    }

    /// A date of the Gregorian calendar, from 0001-01-01 on; returned in days since 2000-01-01.
    pub(crate) fn date(self) -> Result<i32, Fault> {
        date(self.bytes)
            .ok_or_else(|| self.fault(ReasonCode::BadDate, "a date of the calendar as YYYY-MM-DD, like 2024-01-19"))
    }

    /// A moment as RFC 3339 writes it, with a blank for the `T` if need be; without an offset it is UTC. Returned in
    /// microseconds since 2000-01-01; what is finer is cut off.
    pub(crate) fn timestamp(self) -> Result<i64, Fault> {
        timestamp(self.bytes)
            .ok_or_else(|| self.fault(ReasonCode::BadTimestamp, "a date and time like 2024-04-29T02:08:29.375Z"))
    }

    /// Something, one `@`, and a domain with a dot in it; no blanks and no control characters.
    pub(crate) fn email(self) -> Result<&'r [u8], Fault> {
        const MAX: usize = 254;
        let text = self.text(MAX)?;
        if email(text) { Ok(text) } else { Err(self.fault(ReasonCode::BadEmail, "an address like name@example.com")) }
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

/// UTF-8 without NULs.
fn storable(bytes: &[u8]) -> bool {
    memchr(0, bytes).is_none() && std::str::from_utf8(bytes).is_ok()
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn date(bytes: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |sum, byte| Some(sum * 10 + byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?))
    };
    days_of(number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?)
}

/// Days since 2000-01-01, if the calendar has the date.
pub(crate) fn days_of(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return None,
    };
    if year == 0 || !(1..=days).contains(&day) {
        return None;
    }
    // Years that start in March: the leap day is their last. 153 days are five months from March or August on.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    /// 2000-01-01 by the same count.
    const EPOCH: i32 = 1999 * 365 + 1999 / 4 - 1999 / 100 + 1999 / 400 + (153 * 10 + 2) / 5 + 1;
    Some(days - EPOCH)
}

fn timestamp(bytes: &[u8]) -> Option<i64> {
    // what other libraries can show in any time zone
    const DAYS: std::ops::RangeInclusive<i32> = -730_000..=2_921_000;
    let (day, time) = bytes.split_at_checked(10)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = time else { return None };
    let two = |tens: &u8, ones: &u8, below: i64| Some(10 * digit(*tens)? + digit(*ones)?).filter(|n| *n < below);
    let seconds = two(h1, h2, 24)? * 3600 + two(m1, m2, 60)? * 60 + two(s1, s2, 60)?;
    let (micros, offset) = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, offset) = rest.split_at(digits);
            let micros = (0..6).map(|n| fraction.get(n).map_or(0, |digit| i64::from(digit - b'0')));
            ((1..=9).contains(&digits).then(|| micros.fold(0, |sum, digit| sum * 10 + digit))?, offset)
        }
        offset => (0, offset),
    };
    let offset = match offset {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = two(h1, h2, 24)? * 60 + two(m1, m2, 60)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let days = date(day).filter(|days| DAYS.contains(days))?;
    Some(((i64::from(days) * 86_400) + seconds - offset * 60) * 1_000_000 + micros)
}

/// `text` is UTF-8.
fn email(text: &[u8]) -> bool {
    let (mut at, mut dot) = (None, None);
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'@' if at.is_none() => at = Some(place),
            b'@' | ..=b' ' | 0x7f => return false,
            // labels between dots are not empty
            b'.' if at.is_some() => {
                if dot.or(at) == Some(place - 1) {
                    return false;
                }
                dot = Some(place);
            }
            _ => {}
        }
    }
    let blank = |char: char| char.is_whitespace() || char.is_control();
    at.is_some_and(|at| at > 0)
        && dot.is_some_and(|dot| dot + 1 < text.len())
        && (text.is_ascii() || !String::from_utf8_lossy(text).contains(blank))
}

#[cfg(test)]
mod tests;
