//! Limits of a queue: concurrency and rate.

use ::redis::{RedisResult, aio::ConnectionLike};
use serde::{Deserialize, Serialize};

use super::{Broker, SET_LIMITS};

/// Limits of a queue, over all its workers. A limit that is not set does not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", schema(min_properties = 1))]
pub struct Limits {
    /// How many jobs may run at a time.
    pub concurrency: Option<u32>,
    /// How many jobs may start per second.
    pub rate_per_second: Option<f64>,
    /// How many jobs may start at once after a pause. The default is those of one second.
    pub burst: Option<u32>,
    /// How many jobs per key may run at a time. It does not apply to jobs without a key.
    pub key_concurrency: Option<u32>,
}

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
        // A bucket that never has a whole token would let no job start.
        let burst = limits.rate_per_second.map(|rate| limits.burst.map_or(rate.ceil(), f64::from).max(1.0));
        let mut call = self.call(&SET_LIMITS);
        call.arg(version).arg(if paused { "1" } else { "" }).arg(number(limits.concurrency));
        call.arg(limits.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default());
        call.arg(burst.map(|burst| burst.to_string()).unwrap_or_default()).arg(number(limits.key_concurrency));
        call.invoke_async(conn).await
    }
}
