//! How many jobs a queue has in Redis.

use ::redis::{RedisResult, aio::ConnectionLike};

use super::{ACKED, Broker, LEASES, MESSAGES};
use crate::broker::Load;

/// Numbers of acknowledgements, each with its slot of ten seconds.
type Slots = Vec<(u64, u64)>;

impl Broker {
    /// How many jobs wait, and how many run.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn depth<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<(u64, u64)> {
        let (known, running): (u64, u64) =
            ::redis::pipe().hlen(&self.keys[MESSAGES]).zcard(&self.keys[LEASES]).query_async(conn).await?;
        Ok((known.saturating_sub(running), running))
    }

    /// How many jobs wait and run, and how many are acknowledged per second.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn load<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<Load> {
        let mut pipe = ::redis::pipe();
        pipe.hlen(&self.keys[MESSAGES]).zcard(&self.keys[LEASES]).hgetall(&self.keys[ACKED]).cmd("TIME");
        let answer: (u64, u64, Slots, (u64, u64)) = pipe.query_async(conn).await?;
        let (known, running, acked, (seconds, micros)) = answer;
        // Slots of ten seconds, by number; the first of them tells since when jobs have ended.
        let now = seconds as f64 + micros as f64 / 1e6;
        // (A slot of the future is from before the clock stepped back.)
        let recent = acked.iter().filter(|(slot, _)| slot * 10 + 70 > seconds && slot * 10 <= seconds);
        let (first, count) =
            recent.fold((seconds, 0), |(first, sum), (slot, count)| (first.min(slot * 10), sum + count));
        let acked_per_second = count as f64 / (now - first as f64).max(1.0);
        Ok(Load { waiting: known.saturating_sub(running), running, acked_per_second })
    }
}
