//! [`gristmill_pipelines::Checked`] for the API's document.

use utoipa::ToSchema;

use crate::{FileDialect, read::Fault};

/// What a file holds that was read whole, and of which nothing was stored.
#[derive(Debug, ToSchema)]
#[schema(as = CheckedFile)]
pub struct FileCheck {
    /// Records: `good` and `rejected` together.
    pub read: u64,
    /// Records without a fault.
    pub good: u64,
    /// Records with one.
    pub rejected: u64,
    /// Records whose fields are all blank: they are skipped.
    pub blank: u64,
    /// Of `good`, those whose key an earlier good record of the file has. Null: the file has more than 16 million good records, too many to
    /// compare.
    pub duplicate_in_file: Option<u64>,
    /// The rejected records by their first fault, most first.
    pub reasons: Vec<FileReason>,
    /// The first 100 rejected records.
    #[schema(max_items = 100)]
    pub rejects: Vec<FileReject>,
    /// The first 20 good records.
    #[schema(max_items = 20)]
    pub sample: Vec<FileRow>,
    /// Lines of the file.
    pub lines: u64,
    /// Its size, decompressed.
    pub bytes: u64,
    /// How it is written, said or found.
    pub dialect: FileDialect,
}

/// Why records of a file are rejected, and how many.
#[derive(Debug, ToSchema)]
#[schema(as = CheckedReason)]
pub struct FileReason {
    /// The first fault of each, as a stable code.
    #[schema(example = "bad_amount")]
    pub code: String,
    /// Its column; null: the whole record.
    #[schema(example = "debtAmount")]
    pub column: Option<String>,
    /// How many records.
    pub rows: u64,
    /// The line of the first one.
    #[schema(example = 42, minimum = 1)]
    pub first_line: u64,
    /// What is wrong with that one, for people.
    pub message: String,
}

/// A record of a file that is rejected.
#[derive(Debug, ToSchema)]
#[schema(as = CheckedReject)]
pub struct FileReject {
    /// Line of its first byte in the file, from 1.
    #[schema(example = 42, minimum = 1)]
    pub line: u64,
    /// The column at fault; null: the whole record.
    #[schema(example = "debtAmount")]
    pub column: Option<String>,
    /// Why, as a stable code.
    #[schema(example = "bad_amount")]
    pub reason: String,
    /// Why, for people: all that is wrong with it, in one text.
    pub message: String,
    /// All that is wrong with it, one by one; the first is that of `column` and `reason`.
    #[schema(min_items = 1)]
    pub faults: Vec<Fault>,
    /// The first 1,024 bytes of the record as it came; bytes that are not UTF-8 are shown as �.
    pub raw: String,
}

/// A good record of a file.
#[derive(Debug, ToSchema)]
#[schema(as = CheckedRow)]
pub struct FileRow {
    /// Line of its first byte in the file, from 1.
    #[schema(example = 2, minimum = 1)]
    pub line: u64,
    /// By the kind's own names for the columns, what stands there, at most 200 characters of each.
    #[schema(value_type = Object, example = json!({ "debtAmount": "7811.50" }))]
    pub fields: Vec<(String, String)>,
}
