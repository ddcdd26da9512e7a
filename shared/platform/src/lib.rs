//! What every role needs: configuration, telemetry, the database, the object store, API keys, and private engines for
//! those who bring none.

pub mod config;
pub mod database;
pub mod engines;
pub mod store;

#[cfg(feature = "testing")]
pub mod testing;
