//! What is said of a queue in a transaction of the caller's.

use super::{QueueView, broker_sync::QueueRow};

/// What a queue is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueAction {
    /// Start no job any more; what runs goes on.
    Pause,
    /// Start jobs again; also ends a drain.
    Resume,
    /// Run what is due now, then pause.
    Drain,
}

/// A queue of which something was said; the broker is to be told of it after the commit: see [`super::Queues::tell`].
#[derive(Debug, Clone)]
#[must_use = "tell the broker after the commit, or it hears of it by the next sweep"]
pub struct QueueChange {
    /// How it stands with the commit.
    pub view: QueueView,
    pub(super) row: QueueRow,
}

impl QueueAction {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Pause => {
                "insert into gristmill.queues (name, paused, updated_at) values ($1, true, clock_timestamp())
                 on conflict (name) do update set paused = true, draining_at = null, updated_at = clock_timestamp()
                 returning *"
            }
            Self::Resume => {
                "insert into gristmill.queues (name, updated_at) values ($1, clock_timestamp())
                 on conflict (name) do update set paused = false, draining_at = null, updated_at = clock_timestamp()
                 returning *"
            }
            Self::Drain => {
                "insert into gristmill.queues (name, draining_at, updated_at) values ($1, clock_timestamp(), clock_timestamp())
                 on conflict (name) do update
                    set paused = false, draining_at = clock_timestamp(), updated_at = clock_timestamp()
                 returning *"
            }
        }
    }
}
