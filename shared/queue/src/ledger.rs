//! Postgres says what must still be done. Free functions over a connection; the lock order is
//! job rows, the row of the outermost group, then the groups from the inside out.

pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod complete;
pub(crate) mod enqueue;
pub(crate) mod fail;
pub(crate) mod fence;
pub(crate) mod group_completion;
pub(crate) mod groups;
pub(crate) mod park;
pub(crate) mod prune;
pub(crate) mod redrive;
pub(crate) mod relay;
pub(crate) mod replace;
pub(crate) mod schedules;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod unique;
pub(crate) mod unsealed;
pub(crate) mod waiting_room;
