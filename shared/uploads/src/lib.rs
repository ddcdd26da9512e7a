//! The story of one file: received, cut into chunks, enqueued, loaded, joined, closed.
//!
//! The API receives ([`UploadService::receive`]), the worker loads and closes (its bodies use [`jobs`]), everybody reads
//! ([`read`]) and watches ([`events`]); [`UploadService::remove`] cancels or undoes.

pub mod client_limits;
pub mod events;
pub mod jobs;
pub mod objects;
pub mod owner;
pub mod read;
mod receive;
pub mod rejects_csv;
mod remove;
pub mod spreadsheet;
pub mod state;
mod upload;
mod void;

pub use receive::{MemoryBudget, NewUpload, OversizeNote, ReceiveError, ReceiveOutcome, UploadService};
pub use remove::{RemoveError, RemoveOutcome};
pub use upload::{Chunks, FileKind, Policy, Rows, State, Upload};
pub use void::void_claim;
