//! The kinds of files: from bytes to checked, encoded rows. Pure: no network, no clock, no database.
//!
//! A file arrives as bytes cut anywhere. The [`Splitter`] cuts them into chunks of whole records while they arrive;
//! [`Kind::read_header`] learns from the first record where the columns are; [`Kind::parse`] turns a chunk into rows,
//! encoded for Postgres' `COPY`, and rejects, with the lines they came from. What a record and a field are is what the
//! `csv` crate says with its default settings, the file's [`Delimiter`] and `flexible(true)`, as far as quotes are where
//! they may be: the tests hold it to that. A record whose quotes are not is a reject of one line, and changes no other
//! line's outcome (`quotes`). A file that begins with `{` is lines of JSON instead, whatever its kind: a record is a line,
//! its fields are those of its object that are columns of the kind, and what `serde_json` says of the line is what is read.
//!
//! A file that is written otherwise than with commas is read by what is said of it, or found: [`charset::Decode`] makes UTF-8
//! of its bytes, [`Preface`] finds its header and delimiter, for [`Splitter::at`] and [`Kind::read_header_as`], and [`Sample`]
//! how it writes amounts and dates. What was saved of such files is a [`Profile`]. What is open is a [`Question`]. An array of JSON becomes lines of JSON, an element each. A
//! [`Check`] reads a file through all of it and keeps nothing but counts, reasons and examples.
//!
//! Lines are counted as an editor shows them: `\n`, `\r\n` and a lone `\r` each end one. A record's line is that of its
//! first byte, so no two records of a file have the same.

pub mod charset;
mod check;
pub mod claims;
mod columns;
mod copy;
mod debts;
mod dialect;
mod elements;
mod fields;
mod foreign;
mod found;
pub mod generate;
mod hint;
mod intake;
mod key;
mod kind;
mod layout;
mod lines;
pub mod merchants;
pub mod messages;
mod names;
mod parse;
mod preface;
mod profile;
mod question;
mod quotes;
mod record_spans;
pub mod records;
mod reject;
mod sample;
mod samples;
mod scan;
mod splitter;
mod sum;
mod told_dialect;
mod transactions;
pub mod values;

pub use splitter::{Chunk, Oversize, Piece, SplitLimits, Splitter, Start};

pub use check::{Check, Checked, CheckedReason, CheckedReject, CheckedRow};
pub use columns::{BadColumns, Columns};
pub use dialect::{DateOrder, Decimal, Delimiter, Format, Reading, Values};
pub use fields::MAX_AMOUNT_MINOR;
pub use foreign::{FEW, Foreign, SOME, foreign};
pub use found::{Container, Dialect, Said, Shown};
pub use intake::{Arrived, Intake, IntakeError, Part, Within, sentences};
pub use kind::{Kind, Table, UnknownKind};
pub use layout::{Guess, HeaderError, Layout, Limits, Looked, Over};
pub use lines::LineCount;

pub use names::fingerprint as header_fingerprint;
pub use parse::{Owner, ParsedChunk, Row, Rules};
pub use preface::{Found, Header, NoHeader, Preface, Why};
pub use profile::{Profile, UseProfile};
pub use question::{Example, Question};
pub use record_spans::{Place, places};
pub use reject::{Fault, ReasonCode, Reject, told};

pub use copy::{COPY_HEADER, COPY_TRAILER};
pub use sample::{Sample, Sampled, ValueKind};
pub use samples::{Bad, Samples};
pub use sum::{NoSum, Sum, decimal};
