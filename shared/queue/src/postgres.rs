//! Postgres alone as the broker: unlogged tables beside the ledger, `for update skip locked`, and notifications that wake those who
//! wait. What each call means is said in its statement, in the folder `sql`; it is what Redis' scripts do.
//!
//! All of it may be lost with a crash of Postgres: the epoch is lost with it, and the sweep pushes again what waits.

mod link;
mod links;
mod queue;
mod tables;
mod waker;

pub(crate) use links::PostgresLinks;
pub(crate) use queue::PostgresQueue;
pub(crate) use tables::PostgresTables;
