//! Normalizations: a transaction comes, a job finds its merchant, the answer stays. Clients' rules come first.
//!
//! How a merchant is found is `gristmill_pipelines::merchants`' business; here is what is kept of it.

mod answer;
mod merchants;

pub mod jobs;
pub mod requests;
pub mod rules;
pub mod transactions;

pub use answer::Answer;
pub use merchants::{CacheKey, Merchants};
