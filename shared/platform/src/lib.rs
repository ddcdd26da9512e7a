//! What every role needs: configuration, telemetry, the database, the object store, API keys, and private engines for
//! those who bring none.

pub mod broker;
pub mod config;
pub mod database;
pub mod doctor;
pub mod engines;
pub mod escapes;
pub mod host;
pub mod human;
pub mod ids;
pub mod keys;
pub mod private;
pub mod stalled;
pub mod store;
pub mod telemetry;

#[cfg(feature = "testing")]
pub mod testing;
