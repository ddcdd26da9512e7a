//! Lets the keys that an older release left in Redis expire: see `redis/keys.rs`.

use std::time::{Duration, Instant};

use crate::{BrokerError, redis::RedisNamespace};

/// Between the starts of two rounds through the keys.
const ROUND_INTERVAL: Duration = Duration::from_secs(600);
/// Time that one call may take.
const TIME_BUDGET: Duration = Duration::from_millis(10);

/// Where the round is.
#[derive(Default)]
pub(super) struct OldLayout {
    cursor: u64,
    started: Option<Instant>,
}

impl OldLayout {
    /// Continues the round for a bounded time.
    pub(super) async fn expire(&mut self, redis: &RedisNamespace) -> Result<(), BrokerError> {
        if self.cursor == 0 && self.started.is_some_and(|started| started.elapsed() < ROUND_INTERVAL) {
            return Ok(());
        }
        let called = Instant::now();
        if self.cursor == 0 {
            self.started = Some(called);
        }
        loop {
            self.cursor = redis.expire_old_layout(self.cursor).await?;
            if self.cursor == 0 || called.elapsed() > TIME_BUDGET {
                return Ok(());
            }
        }
    }
}
