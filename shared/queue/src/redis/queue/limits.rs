//! Sets the limits of a queue.

use ::redis::{RedisResult, aio::ConnectionLike};

use super::{Broker, SET_LIMITS};
use crate::broker::Limits;

impl Broker {
    /// Sets the queue's limits and whether it is paused, unless a later `version` is set already. They stay until they are
    /// set again. Returns whether anything changed.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer; the call can be repeated.
    pub async fn set_limits<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        version: i64,
        paused: bool,
        limits: &Limits,
    ) -> RedisResult<bool> {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let burst = limits.bucket_size();
        let mut call = self.call(&SET_LIMITS);
        call.arg(version).arg(if paused { "1" } else { "" }).arg(number(limits.concurrency));
        call.arg(limits.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default());
        call.arg(burst.map(|burst| burst.to_string()).unwrap_or_default()).arg(number(limits.key_concurrency));
        call.invoke_async(conn).await
    }
}
