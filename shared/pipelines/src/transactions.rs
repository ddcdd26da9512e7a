//! The kind `transactions`: what a card's statement says, and which merchant that is. With a column `id` that is the key, and
//! the same transaction sent again is a duplicate; without one the line in the upload is.

mod aliases;
mod record;
mod rules;
mod samples;

pub(crate) use aliases::ALIASES;
pub(crate) use record::{AMOUNTS, COLUMNS, DATES, OPTIONAL, TABLE, Transactions};
pub(crate) use samples::SAMPLES;
