//! What operators ask and do.

pub(crate) mod groups;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod queues;
pub(crate) mod redrive;
pub(crate) mod schedules;
mod workers;
