//! What enqueueing, fencing and completing answer.

use crate::{JobId, envelope::Message};

/// Jobs that are in the ledger, or will be with the caller's commit, and are to be pushed after it.
#[derive(Debug, Default)]
#[must_use = "push it after the commit, or the jobs wait for the next sweep"]
pub struct Enqueued {
    pub(crate) ids: Vec<JobId>,
    pub(crate) messages: Vec<Message>,
    pub(crate) existing: Option<JobId>,
    pub(crate) replaced: bool,
}

impl Enqueued {
    /// Adds what another call enqueued.
    pub fn merge(&mut self, other: Self) {
        self.existing = self.existing.or(other.existing);
        self.replaced |= other.replaced;
        self.ids.extend(other.ids);
        self.messages.extend(other.messages);
    }

    /// Whether nothing was enqueued (a unique key that was taken, no jobs, no join).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The new jobs, in the order given.
    #[must_use]
    pub fn ids(&self) -> &[JobId] {
        &self.ids
    }

    /// The job that holds the unique key, when nothing was enqueued because of it.
    #[must_use]
    pub fn existing(&self) -> Option<JobId> {
        self.existing
    }

    /// Whether that job was waiting and is now what was to be enqueued: see [`UniqueMode`](crate::UniqueMode).
    #[must_use]
    pub fn replaced(&self) -> bool {
        self.replaced
    }
}

/// Whether a job is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fence {
    /// Its row is locked until the end of the transaction.
    Held,
    /// Another run was first, or the job was cancelled: roll back and return `Ok`.
    AlreadyDone,
}

/// What [`Queue::complete`](crate::Queue::complete) did.
#[derive(Debug)]
#[must_use]
pub enum Completion {
    /// With the commit the job is done; push what became due by it.
    Done(Enqueued),
    /// Another run was first, or the job was cancelled: roll back and return `Ok`.
    AlreadyDone,
}
