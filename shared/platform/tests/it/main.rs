//! The ground floor on real engines.
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod carried_over;
mod doctor;
mod dropped;
mod engines;
mod fit;
mod keys;
mod large_indexes;
mod migrations;
mod orphans;
mod outage;
mod segments;
mod settings;
mod store;
