//! Bills: runs that make them from debts, payments that settle them, and reminders of them.
//!
//! The scheduler (or a request) creates a [`runs::Run`]; the worker's bodies plan it, make the bills shard by shard, and
//! close it (its bodies use [`jobs`]); its payers are reminded ([`dunning`]); everybody reads ([`bills`], [`runs`]); a notice of payment goes through [`payments`].

pub mod bills;
pub mod dunning;
pub mod issue;
pub mod issuer;
pub mod jobs;
pub mod paid;
pub mod payments;
pub mod runs;
pub mod totals;

mod id;

pub use gristmill_pipelines::{NoSum, Sum};
pub use id::{BillId, NoBillId};
