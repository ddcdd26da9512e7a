//! What is said and shown of limits by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::{Limits, LimitsError, admin::queues};

/// What the jobs of one name are held to, in all queues and workers together. A limit that is not set does not apply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(min_properties = 1))]
#[serde(default, deny_unknown_fields)]
pub struct JobLimits {
    /// How many may run at a time.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 2_147_483_647))]
    pub concurrency: Option<u32>,
    /// How many may start per second.
    #[cfg_attr(feature = "schema", schema(exclusive_minimum = 0, maximum = 2_147_483_647))]
    pub rate_per_second: Option<f64>,
    /// How many may start at once after a pause, where there is a rate. The default is those of one second.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 2_147_483_647))]
    pub burst: Option<u32>,
    /// How many per fair key may run at a time. It does not apply to jobs without a key.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 2_147_483_647))]
    pub key_concurrency: Option<u32>,
    /// How many slots each of them takes of pools, by the pool's name. None is as if it were not there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub uses: BTreeMap<String, u32>,
}

impl JobLimits {
    pub(super) fn check(&self) -> Result<(), LimitsError> {
        let Self { concurrency, rate_per_second, burst, key_concurrency, uses } = self;
        queues::check(&Limits {
            concurrency: *concurrency,
            // Without a rate it says nothing.
            rate_per_second: rate_per_second.or(burst.map(|_| 1.0)),
            burst: *burst,
            key_concurrency: *key_concurrency,
        })?;
        if rate_per_second.is_some_and(|rate| rate > f64::from(i32::MAX)) {
            return Err(LimitsError::Unusable { limit: "rate_per_second" });
        }
        match uses.keys().any(|pool| pool.contains('\0')) {
            true => Err(LimitsError::Unusable { limit: "uses" }),
            false => Ok(()),
        }
    }
}

/// All limits by name: see [`NamedLimits::list`](super::NamedLimits::list).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NamedLimitsView {
    /// Names of jobs that something was said of.
    pub jobs: Vec<JobLimitsView>,
    /// Pools of slots.
    pub pools: Vec<SlotPoolView>,
}

/// What the jobs of one name are held to, and how they stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct JobLimitsView {
    /// Their name.
    pub name: String,
    /// What they are held to.
    pub limits: JobLimits,
    /// Those that have been let in, and run.
    pub running: u64,
    /// Those that wait for room. They are counted up to 10,000: one more stands for more.
    pub waiting: u64,
}

/// Slots that jobs of several names share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SlotPoolView {
    /// Its name.
    pub name: String,
    /// How many there are.
    pub slots: u32,
    /// How many are taken.
    pub taken: u64,
}

#[derive(sqlx::FromRow)]
pub(super) struct JobRow {
    name: String,
    concurrency: Option<i32>,
    rate_per_second: Option<f64>,
    burst: Option<i32>,
    key_concurrency: Option<i32>,
    uses: Json<BTreeMap<String, u32>>,
    running: i64,
    waiting: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct PoolRow {
    name: String,
    slots: i32,
    taken: i64,
}

impl JobRow {
    pub(super) fn into_view(self) -> JobLimitsView {
        let number = |number: Option<i32>| number.map(i32::unsigned_abs);
        let limits = JobLimits {
            concurrency: number(self.concurrency),
            rate_per_second: self.rate_per_second,
            burst: number(self.burst),
            key_concurrency: number(self.key_concurrency),
            uses: self.uses.0,
        };
        let (running, waiting) = (self.running.unsigned_abs(), self.waiting.unsigned_abs());
        JobLimitsView { name: self.name, limits, running, waiting }
    }
}

impl PoolRow {
    pub(super) fn into_view(self) -> SlotPoolView {
        SlotPoolView { name: self.name, slots: self.slots.unsigned_abs(), taken: self.taken.unsigned_abs() }
    }
}
