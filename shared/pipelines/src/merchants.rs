//! Which merchant a descriptor of a card's statement names: `SQ *NETFLIX.COM 866-579-7172 CA` is Netflix.
//!
//! A descriptor is [cleaned](clean) of what is no name; what is left is looked for as a whole among the names and aliases of
//! the dictionary, then in parts (brands at word borders), then approximately. Each way gives a
//! score, and below [`THRESHOLD`] nothing is said: a wrong name is worse than none. A client's own [`Rules`] come before all.

mod brands;
mod clean;
mod dictionary;
mod exact;
mod fold;
mod fuzzy;
mod generic;
pub mod noise;
mod normalizer;
mod rules;

pub use dictionary::{Brand, Category, Dictionary};
pub use normalizer::{MatchKind, MerchantMatch, Normalizer, THRESHOLD};
pub use rules::{BadRule, MAX_RULES, Rule, Rules, Test};

pub use clean::clean;
