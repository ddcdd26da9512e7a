//! For those who run the queue: what there is, and what to do about it.

pub(crate) mod groups;
pub(crate) mod jobs;
pub(crate) mod queues;
pub(crate) mod redrive;
pub(crate) mod schedules;
mod workers;
