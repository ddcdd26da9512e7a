//! A job's way from its broker to the service and back, whatever the broker is: claims, leases, heartbeats, acknowledgements,
//! lost workers.

mod acks;
mod backend;
mod dead_letter;
mod fetch;
mod heartbeat;
mod held_leases;
mod isolation;
mod layer;
mod lease_check;
mod lease_keeper;
mod occupancy;
mod procfs;
pub(crate) mod reaper;
mod renewer;
mod settings;
mod sink;
mod wakes;
mod worker_state;

pub use backend::LeaseBackend;
pub use dead_letter::{DeadLetter, DeadLetterReason, DeadLetterSink};
pub use layer::{LeaseLayer, LeaseService, Release};
pub(crate) use lease_check::LeaseCheck;
pub use settings::{FairKey, LeaseLost, RunningName, Settings};
pub(crate) use wakes::{MAX_WAIT, Wakes};
pub use worker_state::WorkerState;
