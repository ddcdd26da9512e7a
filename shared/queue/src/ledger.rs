//! Postgres says what must still be done. Free functions over a connection; the lock order is
//! job rows first, the groups row last.

pub(crate) mod audit;
pub(crate) mod complete;
pub(crate) mod enqueue;
pub(crate) mod fail;
pub(crate) mod fence;
pub(crate) mod groups;
pub(crate) mod relay;
pub(crate) mod schedules;
