use gristmill_core::string_enum;
use gristmill_pipelines::{Dialect, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use crate::{FileDialect, UploadId};

/// One file of one kind, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Upload {
    /// Version 7: sorted by time of creation.
    #[schema(value_type = Uuid)]
    pub id: UploadId,
    /// Which pipeline reads the file.
    #[schema(value_type = FileKind, example = "debts")]
    pub kind: Kind,
    /// What a bad row means.
    pub policy: Policy,
    /// What becomes of a row whose key an earlier upload has. Not there: `skip`.
    #[serde(default, skip_serializing_if = "OnDuplicate::is_skip")]
    pub on_duplicate: OnDuplicate,
    /// As the client named it.
    pub filename: Option<String>,
    /// Size of the file, decompressed; while it arrives: what has been enqueued of it.
    pub bytes: i64,
    /// SHA-256 of the file, decompressed, in hexadecimal; known once it is received.
    pub sha256: Option<String>,
    /// How the file is written, said or found. Not there: plainly, in UTF-8 with commas or as lines of JSON, and nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FileDialect>)]
    pub dialect: Option<Dialect>,
    /// Where it stands.
    pub state: State,
    /// Why it failed or was cancelled: a stable code (`incomplete`, `too_large`, `not_stored`, `rejected_rows`,
    /// `duplicate_rows`, `chunk_failed`, `cancelled`, `undone`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What became of its records so far.
    pub rows: Rows,
    /// Of `rows.rejected`, those beyond the client's limit: counted, by reason, and not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejects_not_kept: i64,
    /// How far the work is.
    pub chunks: Chunks,
    /// When the header was accepted.
    pub created_at: Timestamp,
    /// When the last byte was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// When the first rows were committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_row_at: Option<Timestamp>,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When its rows were dropped, as they had been kept for long enough. Its counts, its receipt and its rejects stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_dropped_at: Option<Timestamp>,
}

impl Upload {
    /// The rows that are there because of it, or will be if it goes on as now: of one that has failed or was cancelled, or whose
    /// rows were dropped, none.
    pub const fn kept(&self) -> i64 {
        let has_none = matches!(self.state, State::Failed | State::Cancelled) || self.rows_dropped_at.is_some();
        if has_none { 0 } else { self.rows.accepted - self.rows.superseded }
    }
}

/// What most files have none of, and nothing is said of it then.
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What became of the records: `read = accepted + rejected + duplicate`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rows {
    /// Records looked at.
    pub read: i64,
    /// Good ones; they count from when the upload is `completed` on, and not at all when it failed or was cancelled.
    pub accepted: i64,
    /// Bad ones, each with a reject.
    pub rejected: i64,
    /// Good ones whose key was there before, each with a reject of code `duplicate`.
    pub duplicate: i64,
    /// Of `duplicate`, those that say something else than the row that counts: their rejects say in which columns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflicting_duplicate: i64,
    /// Of `accepted`, those that replaced a row of an earlier upload (`on_duplicate=replace`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replaced: i64,
    /// Of `accepted`, those that later uploads have replaced: they do not count any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: i64,
}

/// Progress in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Chunks {
    /// Cut so far; final once the file is received.
    pub total: i64,
    /// Committed.
    pub done: i64,
}

/// The names of [`Kind`], for the API's document.
pub struct FileKind;

impl utoipa::PartialSchema for FileKind {
    fn schema() -> RefOr<Schema> {
        let words = <Kind as strum::VariantNames>::VARIANTS;
        let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied()));
        word.description(Some("What a file has in it: which pipeline reads it.")).into()
    }
}

impl utoipa::ToSchema for FileKind {}

string_enum! {
    /// What one bad row does to its upload.
    #[derive(utoipa::ToSchema)]
    pub enum Policy {
        /// Good rows stay, bad rows are reported.
        Partial,
        /// One bad row and nothing stays.
        Atomic,
    }
}

string_enum! {
    /// What becomes of a row whose key a row of an earlier upload has that counts. Of a key that comes twice in one file the first line
    /// counts, whatever is said.
    #[derive(Default, utoipa::ToSchema)]
    pub enum OnDuplicate {
        /// The earlier row counts, and the new one is a reject.
        #[default]
        Skip,
        /// It counts instead of the earlier one, if it says something else and that one is not billed.
        Replace,
        /// Nothing of the file stays, also when a key comes twice in it.
        Error,
    }
}

impl OnDuplicate {
    /// What is not said of an upload.
    pub(crate) fn is_skip(&self) -> bool {
        *self == Self::Skip
    }
}

string_enum! {
    /// Where an upload stands. `receiving` → `processing` → `completed`; from the first two also `failed` and
    /// `cancelled`; an undone upload goes from `completed` to `cancelled`.
    #[derive(utoipa::ToSchema)]
    #[schema(as = UploadState)]
    pub enum State {
        /// Bytes still arrive; chunks are worked on already.
        Receiving,
        /// Everything is stored and enqueued.
        Processing,
        /// Every row is accounted for and counts.
        Completed,
        /// Nothing of it counts; see `reason`.
        Failed,
        /// Cancelled or undone by its client; nothing of it counts.
        Cancelled,
    }
}

impl State {
    /// Nothing more will happen to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}
