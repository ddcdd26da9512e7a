//! What a client has set: its language and calendar, and how its bills, claims, merchants and reports are treated.
//!
//! One row per client in `client_settings`, read by [`settings::find`] and written by [`settings::put`]. Each section of it has
//! a file with its types and its checks; what follows from a setting is the business of the crate that it is for.

mod bills;
mod branding;
mod calendar;
mod claims;
mod cycle;
mod merchants;
mod reports;
pub mod settings;

pub use bills::Numbering;
pub use branding::{BadLogo, Branding, BrandingError};
pub use claims::{ClaimGrouping, ClaimSettings, ClaimsError};
pub use cycle::Cycle;
pub use merchants::Heuristic;
pub use settings::{BadSetting, Settings};
