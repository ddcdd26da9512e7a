//! How many jobs a queue has in the broker.

/// How many jobs of a queue wait and run, and how fast they end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Jobs that are not leased: due, or delayed after a failure.
    pub waiting: u64,
    /// Jobs that are leased.
    pub running: u64,
    /// Jobs acknowledged per second, over the last minute.
    pub acked_per_second: f64,
}
