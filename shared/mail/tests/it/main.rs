//! Mails over real sockets to a server that misbehaves when it is told to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod content;
mod crash;
mod faults;
mod kept;
mod once;
mod privacy;
mod rate;
mod refusals;
mod scripts;
mod support;
