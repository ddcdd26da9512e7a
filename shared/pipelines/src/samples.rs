//! What every kind brings along to be tested and shown with.

use crate::ReasonCode;

/// Example records of a kind. The conformance suite runs them for every kind.
#[derive(Debug, Clone, Copy)]
pub struct Samples {
    /// The usual header.
    pub header: &'static str,
    /// Records that are accepted, dirt included; their keys differ.
    pub good: &'static [&'static str],
    /// Records that are rejected.
    pub bad: &'static [Bad],
}

/// A record that is rejected, and what for.
#[derive(Debug, Clone, Copy)]
pub struct Bad {
    /// The record, without its line end.
    pub record: &'static [u8],
    /// The column at fault.
    pub column: Option<&'static str>,
    /// The reason.
    pub code: ReasonCode,
}
