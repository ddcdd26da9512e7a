//! Redis as the broker. Keys, and the scripts of the queues, live in this folder only.
//!
//! [`RedisBackend`] implements apalis' public traits and does not depend on the ledger: any apalis
//! application can use it.

mod backend;
mod connection;
mod connections;
mod dead_letters;
pub mod fitness;
mod keys;
mod memory;
mod namespace;
mod progress;
mod queue;
mod waker;
mod worker_registry;

pub use crate::{
    broker::{
        BrokerError, BrokerJob, FailedDeliveries, KnownJob, Lease, Limits, Load, LostDelivery, RunningView,
        WorkerQueueView, WorkerView,
    },
    delivery::{
        DeadLetter, DeadLetterReason, DeadLetterSink, FairKey, LeaseBackend, LeaseLayer, LeaseLost, LeaseService,
        Release, RunningName, Settings, WorkerState,
    },
};
pub use backend::RedisBackend;
pub use connections::Connections;
pub(crate) use connections::RedisLinks;
pub use dead_letters::RedisDeadLetters;
pub use memory::BrokerMemory;
pub(crate) use namespace::{RedisNamespace, RedisQueue};
pub use queue::Broker;
pub(crate) use queue::Place;
pub use worker_registry::WorkerRegistry;
