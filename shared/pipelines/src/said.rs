//! What whoever sends a file says of how it is written.

use serde::{Deserialize, Serialize};

use crate::{Columns, DateOrder, Decimal, Delimiter, charset::Charset};

/// What was said of a file; what was not is found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// In which characters it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Charset>,
    /// What separates its fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// The line that its header begins on, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_line: Option<u64>,
    /// Which of its columns are which of the kind's.
    #[serde(skip_serializing_if = "Columns::is_empty")]
    pub columns: Columns,
    /// The decimal mark of its amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// The order of its dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<DateOrder>,
}
