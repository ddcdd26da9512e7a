//! The kind `claims`: lines of dental claims. What a line must satisfy is a table of rules; a claim is what the lines of one
//! subscriber, provider and day of an upload make, and its id is derived from those, so that chunks need not agree on it.

mod aliases;
mod id;
mod record;
mod rules;
mod samples;
mod values;

use crate::ReasonCode;

pub(crate) use aliases::ALIASES;
pub use id::{Grouping, ids_of_upload, line_id, line_ids};
pub(crate) use record::{AMOUNTS, COLUMNS, Claims, DATES, TABLE};
pub use record::{Line, Values, check};
pub use rules::{RULES, Rule, Switches, UnknownRule};
pub(crate) use samples::SAMPLES;

/// How a client wants its claims read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Rules that are checked beyond those that always are.
    pub switches: Switches,
    /// Which lines make a claim.
    pub grouping: Grouping,
    /// The day on which the claims came, where the client is, in days since 2000-01-01: no service is later, and years of
    /// two digits are none that come after it. `None`: any day, and 00 to 68 are years of this century, as POSIX has it.
    pub today: Option<i32>,
}

/// A field of a line that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The column, by the name that it has in files.
    pub column: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// The reason, as a reject has it.
    pub code: ReasonCode,
    /// What was found and what is expected.
    pub message: String,
}
