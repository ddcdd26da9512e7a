//! What every crate speaks in: ids of their own types, enums that are one word wherever they are written, the boxed error,
//! batches of requests, fixed keys, and numbers and addresses as people write them.

mod batch;
mod error;
pub mod escapes;
pub mod human;
mod id;
pub mod ids;
mod keyring;
mod strict;
mod string_enum;

pub use batch::{BatchError, Batcher};
pub use error::{Source, chain};
pub use id::ClientId;
pub use keyring::{KeyFault, Keyring, MIN_KEY_CHARS};
pub use strict::{Strict, in_words};
pub use string_enum::UnknownVariant;

#[doc(hidden)]
pub use strum;

// The macros name this crate as those who use them do.
extern crate self as gristmill_core;
