//! The story of one file: received, cut into chunks, enqueued, loaded, joined, closed.
//!
//! The API receives ([`UploadService::receive`]), the worker loads and closes (its bodies use [`jobs`]), everybody reads
//! ([`read`]) and watches ([`events`]); [`UploadService::remove`] cancels or undoes.

pub mod client_limits;
pub mod delta;
pub mod events;
mod file_check;
mod file_dialect;
mod id;
pub mod jobs;
mod kind_hooks;
pub mod objects;
pub mod profiles;
pub mod read;
mod receive;
pub mod rejects_csv;
mod remove;
pub mod replaced;
pub mod resumable;
pub mod retention;
pub mod segments;
mod spreadsheet;
pub mod state;
mod upload;

pub use file_check::{FileCheck, FileReason, FileReject, FileRow};
pub use file_dialect::{FileDialect, FileEvidence};
pub use id::UploadId;
pub use kind_hooks::{Announcer, HookFuture, Hooks, KindHooks, RowsOnly, UploadRef};
pub use receive::{
    FileText, MemoryBudget, NewUpload, OversizeNote, ReceiveError, ReceiveOutcome, Spool, UploadService, text_of,
};
pub use remove::{RemoveError, RemoveOutcome};
pub use upload::{Chunks, FileKind, OnDuplicate, Policy, Rows, State, Upload};
