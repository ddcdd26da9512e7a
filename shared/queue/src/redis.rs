//! The broker: Redis says who does it now. The only folder that knows keys and Lua.
//!
//! [`RedisBackend`] implements apalis' public traits and knows nothing of the ledger: any apalis
//! application can use it. The rest of this crate talks to it through [`Broker`] and [`DeadLetterSink`].

mod acks;
mod backend;
mod broker;
mod company;
mod fetch;
mod dead_letter;
mod hold;
mod keeper;
mod layer;
mod link;
mod links;
mod memory;
mod process;
mod progress;
mod quiet;
mod roster;
mod sink;
mod usage;
mod wakes;

pub use backend::{FairKey, LeaseLost, RedisBackend, RunningName, Settings};
pub use broker::{Broker, Incoming, Lease, Limits, Load, LostDelivery, Strikes};
pub(crate) use broker::{Place, Window};
pub use dead_letter::{DeadLetter, DeadLetterSink, RedisDeadLetters, DeadLetterReason};
pub(crate) use hold::Hold;
pub use layer::{HandBack, LeaseLayer, LeaseService};
pub use links::Links;
pub use memory::BrokerMemory;
pub use process::Process;
pub(crate) use progress::tell as tell_progress;
pub use roster::{KnownJob, LineView, Roster, RunningView, WorkerView};
