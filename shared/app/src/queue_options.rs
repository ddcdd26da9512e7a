//! What is said of a queue.

use gristmill_queue::Limits;

/// Of one queue: how many of its jobs run at a time in one process, and the limits of all processes together. See
/// [`App::queue`](crate::App::queue).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct QueueOptions {
    pub(crate) slots: Option<usize>,
    pub(crate) limits: Limits,
    pub(crate) fixed: bool,
}

impl QueueOptions {
    /// Jobs that run at a time in one process.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = Some(slots.max(1));
        self
    }

    /// Jobs that run at a time in all processes.
    pub fn concurrency(mut self, jobs: u32) -> Self {
        self.limits.concurrency = Some(jobs);
        self
    }

    /// Jobs that start per second, in all processes.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.limits.rate_per_second = Some(per_second);
        self
    }

    /// Jobs that may start at once after a pause; unless given, those of one second.
    pub fn burst(mut self, jobs: u32) -> Self {
        self.limits.burst = Some(jobs);
        self
    }

    /// Jobs of one fair key that run at a time, in all processes.
    pub fn per_key(mut self, jobs: u32) -> Self {
        self.limits.key_concurrency = Some(jobs);
        self
    }

    /// The limits are set again at every start. Without this they are set once, and what an operator says later (in the dashboard, by
    /// `gristmill queues limit`) stays.
    pub fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }
}
