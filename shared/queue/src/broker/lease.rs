//! What claims, releases and reaping are asked and answer.

use std::time::Duration;

use super::{FailedDeliveries, LostDelivery};

/// Jobs that one call reaps at most.
pub(crate) const REAP_BATCH_SIZE: u64 = 100;

/// A job that a worker has until a deadline. `number` is the delivery's: it fences every later call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: String,
    /// The number of the delivery, from 1.
    pub number: u64,
    /// Its payload.
    pub payload: Vec<u8>,
    /// 0 is the most urgent.
    pub priority: u8,
    /// The key by which it took its turn; may be empty.
    pub key: String,
    /// Its deliveries that ended without success, as far as the broker counts them.
    pub failed_deliveries: FailedDeliveries,
}

/// The result of reaping.
pub(crate) struct ReapResult {
    /// How many jobs are back in line.
    pub(crate) requeued: u64,
    /// Jobs that have used up their deliveries, leased to the caller until they are stored as dead letters.
    pub(crate) dead: Vec<Lease>,
    pub(crate) lost: Vec<LostDelivery>,
}

/// A job to be released.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRelease {
    pub(crate) id: String,
    pub(crate) number: u64,
    /// How long until it is back in line.
    pub(crate) delay: Duration,
    pub(crate) reason: ReleaseReason,
}

/// Why a job is released. The numbers are those of the brokers' scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReleaseReason {
    Wait = 0,
    Failure = 1,
    /// This worker cannot read the job, others can.
    Unreadable = 2,
}

/// The answer to a claim.
#[derive(Debug)]
pub(crate) struct ClaimResult {
    pub(crate) leases: Vec<Lease>,
    pub(crate) throttle: Throttle,
    /// Jobs wait, and the broker found no reason why none was leased.
    pub(crate) stuck: bool,
}

/// Why the broker leases no more jobs at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Throttle {
    None,
    Paused,
    /// The concurrency limit is reached.
    AtLimit,
    /// The rate limit is reached; the next job may start after this long.
    RateLimited(Duration),
}
