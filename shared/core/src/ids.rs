//! Ids of version 7 (RFC 9562) begin with the time at which they were made, in milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// The lowest id of what is younger than `age`: what is older is found at the begin of its key's index.
#[must_use]
pub fn younger_than(age: Duration) -> Uuid {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Uuid::from_u128(now.saturating_sub(age).as_millis() << 80)
}
