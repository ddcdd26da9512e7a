//! The broker: Redis decides which worker runs a job now. Keys, and the scripts of the queues, live in this folder only.
//!
//! [`RedisBackend`] implements apalis' public traits and does not depend on the ledger: any apalis
//! application can use it. The rest of this crate uses [`Broker`] and [`DeadLetterSink`].

mod acks;
mod backend;
mod broker;
mod connection;
mod connections;
mod dead_letter;
mod fetch;
mod heartbeat;
mod held_leases;
mod isolation;
mod keys;
mod layer;
mod lease_check;
mod lease_keeper;
mod memory;
mod occupancy;
mod procfs;
mod progress;
mod reaper;
mod renewer;
mod sink;
mod wakes;
mod worker_registry;
mod worker_state;

pub use backend::{FairKey, LeaseLost, RedisBackend, RunningName, Settings};
pub use broker::{Broker, BrokerJob, FailedDeliveries, Lease, Limits, Load, LostDelivery};
pub(crate) use broker::{Place, Window};
pub use connections::Connections;
pub use dead_letter::{DeadLetter, DeadLetterReason, DeadLetterSink, RedisDeadLetters};
pub(crate) use keys::{expire_old_layout, versioned};
pub use layer::{LeaseLayer, LeaseService, Release};
pub(crate) use lease_check::LeaseCheck;
pub use memory::BrokerMemory;
pub(crate) use progress::publish as publish_progress;
pub use worker_registry::{KnownJob, RunningView, WorkerQueueView, WorkerRegistry, WorkerView};
pub use worker_state::WorkerState;
