//! The kind `debts`: what is owed, by whom, and when it is due. The debt's id is the key; sent again, whole or in part,
//! a file creates nothing twice.

mod aliases;
mod record;
mod rules;
mod samples;

pub(crate) use aliases::ALIASES;
pub(crate) use record::{AMOUNTS, COLUMNS, DATES, Debts, TABLE};
pub(crate) use samples::SAMPLES;
