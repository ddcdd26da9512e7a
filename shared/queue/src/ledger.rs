//! Postgres says what must still be done. Free functions over a connection; the lock order is
//! job rows, the row of the outermost group, then the groups from the inside out.

pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod complete;
pub(crate) mod enqueue;
pub(crate) mod enqueue_many;
pub(crate) mod fail;
pub(crate) mod fence;
pub(crate) mod flows;
pub(crate) mod group_completion;
pub(crate) mod groups;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod order;
pub(crate) mod park;
pub(crate) mod prune;
pub(crate) mod redrive;
pub(crate) mod relay;
pub(crate) mod replace;
pub(crate) mod schedules;
pub(crate) mod stats;
pub(crate) mod steps;
pub(crate) mod stop;
pub(crate) mod unique;
pub(crate) mod unsealed;
pub(crate) mod waiting_room;

use std::time::Duration;

/// For a parameter of a statement. Half of what there is, so that two of them can be added.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

/// The same for `jobs.timeout_ms`: no attempt has no time at all.
pub(crate) fn timeout_millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1)
}
