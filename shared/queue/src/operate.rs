//! What operators ask and do.

pub(crate) mod schedules;
