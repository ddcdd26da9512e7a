//! What every crate speaks in: ids of their own types, enums that are one word wherever they are written, the boxed error,
//! and batches of requests.

mod batch;
mod error;
mod id;
mod string_enum;

pub use batch::{BatchError, Batcher};
pub use error::{Source, chain};
pub use id::ClientId;
pub use string_enum::UnknownVariant;

#[doc(hidden)]
pub use strum;

// The macros name this crate as those who use them do.
extern crate self as gristmill_core;
