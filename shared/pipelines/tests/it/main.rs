//! Laws, examples and the conformance suite of the kinds.

mod conformance;
mod debts;
mod generate;
mod header;
mod laws;
mod oracle;
mod splitter;
