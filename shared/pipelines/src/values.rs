//! What single texts mean, for who is told of one thing by a request: the same as in a file.

use crate::fields::{self, date, signed};

pub use crate::fields::{MAX_AMOUNT_MINOR, days_of, is_address, trim};

/// An amount of any sign in the currency's major unit, in hundredths; `None`: it is none, or larger than
/// [`MAX_AMOUNT_MINOR`].
#[must_use]
pub fn amount(text: &str) -> Option<i64> {
    signed(trim(text).as_bytes())
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
