//! The kind `messages`: what was asked of a service, and what each message costs. Its text is read for that and not kept.
//! The id is the key, so the same message sent again is a duplicate.

mod aliases;
mod credits;
mod record;
mod rules;
mod samples;

pub use credits::{BadCredits, Credits, credits};

pub(crate) use aliases::ALIASES;
pub(crate) use record::{COLUMNS, Messages, OPTIONAL, TABLE};
pub(crate) use samples::SAMPLES;
