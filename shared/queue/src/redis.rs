//! The broker: Redis says who does it now. The only folder that knows keys and Lua.
//!
//! [`RedisBackend`] implements apalis' public traits and knows nothing of the ledger: any apalis
//! application can use it. The rest of this crate talks to it through [`Broker`] and [`Graveyard`].

mod acks;
mod backend;
mod broker;
mod fetch;
mod graveyard;
mod keeper;
mod layer;
mod sink;

pub(crate) use backend::connection_config;
pub use backend::{LeaseLost, RedisBackend, Settings};
pub use broker::{Broker, Lease, Worker as WorkerSeen};
pub use graveyard::{Buried, Graveyard, ListGraveyard, Reason};
pub use layer::{HandBack, LeaseLayer, LeaseService};
