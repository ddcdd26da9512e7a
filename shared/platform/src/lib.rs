//! What every role needs: configuration, telemetry, the database, the object store, API keys, and private engines for
//! those who bring none.

pub mod broker;
pub mod config;
pub mod database;
pub mod doctor;
pub mod keys;
pub mod store;
pub mod telemetry;

#[cfg(feature = "testing")]
pub mod testing;

pub use gristmill_engines::{self as engines, private};
