//! What is found in a file, in the words in which it is told.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Serialize, Serializer};

use crate::{Fault, ReasonCode, Reject};

/// So much of a record is shown, in bytes.
const RECORD_BYTES: usize = 1024;

/// Why records are rejected, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedReason {
    /// The first fault of each, for machines.
    pub code: ReasonCode,
    /// Its column; `None`: the record as a whole.
    pub column: Option<&'static str>,
    /// How many records.
    pub rows: u64,
    /// The line of the first one.
    pub first_line: u64,
    /// What is wrong with that one, for people.
    pub message: String,
}

/// A record that is rejected, as it is told of an upload, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedReject {
    /// Its line.
    pub line: u64,
    /// The column of its first fault; `None`: the record as a whole.
    pub column: Option<&'static str>,
    /// Its first fault, for machines.
    pub reason: ReasonCode,
    /// All that is wrong with it, for people, in one text.
    pub message: String,
    /// All that is wrong with it, one by one.
    pub faults: Vec<Fault>,
    /// The beginning of the record as it came.
    pub raw: String,
}

/// A good record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedRow {
    /// Its line.
    pub line: u64,
    /// The columns that it has, in the kind's order, each with what stands there.
    #[serde(serialize_with = "as_map")]
    pub fields: Vec<(&'static str, String)>,
}

fn as_map<S: Serializer>(fields: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(column, text)| (column, text)))
}

/// By its code and column: how many records, and the first of them.
pub(super) type Reasons = BTreeMap<(ReasonCode, Option<&'static str>), Tally>;

/// How many records have a fault, and the first of them.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) first_line: u64,
    pub(super) message: String,
}

/// Most first.
pub(super) fn by_rows(reasons: Reasons) -> Vec<CheckedReason> {
    let reasons = reasons.into_iter().map(|((code, column), Tally { rows, first_line, message })| CheckedReason {
        code,
        column,
        rows,
        first_line,
        message,
    });
    let mut reasons: Vec<CheckedReason> = reasons.collect();
    reasons.sort_by_key(|reason| (Reverse(reason.rows), reason.first_line));
    reasons
}

impl From<Reject> for CheckedReject {
    fn from(reject: Reject) -> Self {
        let message = reject.told();
        let Reject { line, column, code, message: first, others, raw } = reject;
        let mut faults = vec![Fault { column, code, message: first }];
        faults.extend(others);
        let raw = String::from_utf8_lossy(&raw[..raw.len().min(RECORD_BYTES)]).into_owned();
        Self { line, column, reason: code, message, faults, raw }
    }
}
