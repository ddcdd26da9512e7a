//! Limits of a queue: concurrency and rate.

use serde::{Deserialize, Serialize};

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

impl Limits {
    /// How many tokens the bucket of the rate holds. One that never has a whole token would let no job start.
    pub(crate) fn bucket_size(&self) -> Option<f64> {
        self.rate_per_second.map(|rate| self.burst.map_or(rate.ceil(), f64::from).max(1.0))
    }
}
