//! What single texts mean, for who is told of one thing by a request: the same as in a file.

use crate::fields::{self, date, signed, two_readings};

pub use crate::fields::{MAX_AMOUNT_MINOR, days_of, is_address, trim};

/// An amount of any sign in the currency's major unit, in hundredths; `None`: it is none, or larger than
/// [`MAX_AMOUNT_MINOR`].
#[must_use]
pub fn amount(text: &str) -> Option<i64> {
    signed(trim(text).as_bytes())
}

/// What is to be written instead of an amount like `1.000`, which is a thousand to some and 1.00 to others; `None`: the text
/// has not these two readings.
#[must_use]
pub fn unclear_amount(text: &str) -> Option<String> {
    two_readings(trim(text).as_bytes(), true).as_ref().map(fields::one_reading)
}

/// A currency's three letters, in capitals.
#[must_use]
pub fn currency(text: &str) -> Option<[u8; 3]> {
    fields::currency(trim(text).as_bytes())
}

/// Days since 2000-01-01 of `YYYY-MM-DD`, with or without a midnight behind it.
#[must_use]
pub fn day(text: &str) -> Option<i32> {
    date(trim(text).as_bytes())
}
