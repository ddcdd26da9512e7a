//! What operators ask and do.

pub(crate) mod queues;
pub(crate) mod schedules;
mod workers;
