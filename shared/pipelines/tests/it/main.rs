//! Laws, examples and the conformance suite of the kinds.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod claims;
mod conformance;
mod debts;
mod delimiters;
mod dialects;
mod generate;
mod header;
mod laws;
mod merchants;
mod messages;
mod ndjson;
mod oracle;
mod splitter;
mod values;
