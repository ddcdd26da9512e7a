use std::{fmt, str::FromStr};

use gristmill_pipelines::Kind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One file of one kind, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Upload {
    /// Version 7: sorted by time of creation.
    pub id: Uuid,
    /// Which pipeline reads the file.
    #[schema(value_type = String, example = "debts")]
    pub kind: Kind,
    /// What a bad row means.
    pub policy: Policy,
    /// As the client named it.
    pub filename: Option<String>,
    /// Size of the file, decompressed; while it arrives: what has been enqueued of it.
    pub bytes: i64,
    /// SHA-256 of the file, decompressed, in hexadecimal; known once it is received.
    pub sha256: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Why it failed or was cancelled: a stable code (`incomplete`, `too_large`, `not_stored`, `rejected_rows`,
    /// `chunk_failed`, `cancelled`, `undone`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What became of its records so far.
    pub rows: Rows,
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
}

/// What became of the records: `read = accepted + rejected + duplicate`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rows {
    /// Records looked at.
    pub read: i64,
    /// Good ones.
    pub accepted: i64,
    /// Bad ones, each with a reject.
    pub rejected: i64,
    /// Good ones whose key was there before, each with a reject of code `duplicate`.
    pub duplicate: i64,
}

/// Progress in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Chunks {
    /// Cut so far; final once the file is received.
    pub total: i64,
    /// Committed.
    pub done: i64,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the database and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseWordError;

            fn from_str(word: &str) -> Result<Self, ParseWordError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(ParseWordError { found: other.to_owned(), allowed: &[$($word),+] }),
                }
            }
        }
    };
}

words! {
    /// What one bad row does to its upload.
    Policy {
        /// Good rows stay, bad rows are reported.
        Partial = "partial",
        /// One bad row and nothing stays.
        Atomic = "atomic",
    }
}

words! {
    /// Where an upload stands. `receiving` → `processing` → `completed`; from the first two also `failed` and
    /// `cancelled`; an undone upload goes from `completed` to `cancelled`.
    State {
        /// Bytes still arrive; chunks are worked on already.
        Receiving = "receiving",
        /// Everything is stored and enqueued.
        Processing = "processing",
        /// Every row is accounted for and counts.
        Completed = "completed",
        /// Nothing of it counts; see `reason`.
        Failed = "failed",
        /// Cancelled or undone by its client; nothing of it counts.
        Cancelled = "cancelled",
    }
}

impl State {
    /// Nothing more will happen to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// A word that is none of those allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is none of {}", allowed.join(", "))]
pub struct ParseWordError {
    found: String,
    /// The words that would do.
    pub allowed: &'static [&'static str],
}
