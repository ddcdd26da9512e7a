//! Claims, as far as more than one role takes part: entered by an upload's close or by a request ([`enter`]), read
//! ([`claims`]), paid ([`accounting`]), taken back ([`void`]); and what each provider's add up to ([`providers`]).
//!
//! Locks are taken in this order: the upload (advisory), the claim, accounts by id, providers' spans by key.

pub mod accounting;
pub mod claims;
pub mod enter;
pub mod jobs;
pub mod providers;
pub mod void;

mod hooks;
mod spans;

pub use hooks::ClaimHooks;

/// Claims are of the United States: so are the numbers of providers and the codes of procedures.
pub const CURRENCY: &str = "USD";
