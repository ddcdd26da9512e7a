//! What is shown of schedules.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::{CatchUp, Cause, JobId, JobSpec, Overlap, cron::Ticks};

const NEXT_TICKS_SHOWN: usize = 5;

/// A schedule as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// When: an expression, or `@at` and a time.
    pub cron: String,
    /// When it fires, if it does so once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whose clocks count.
    pub time_zone: String,
    /// What becomes of ticks that no scheduler was there for.
    pub catch_up: CatchUp,
    /// What a tick does while the job of the one before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// Jobs start up to this much later than the tick.
    pub jitter_seconds: u32,
    /// No tick is before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// No tick is after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Whether it is over: no tick is to come.
    #[serde(default)]
    pub ended: bool,
    /// Whether it fires only by hand.
    pub paused: bool,
    /// What it enqueues.
    pub job: JobSpec,
    /// The next five ticks, before jitter; none while it is paused.
    pub next: Vec<Timestamp>,
    /// The last one that became a job.
    pub last: Option<TickView>,
    /// Missed ticks that are on record: the last hundred of each gap, as long as ticks are kept.
    pub missed: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last made to be something else, paused or resumed.
    pub updated_at: Timestamp,
}

/// One tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TickView {
    /// When it was to be.
    pub fire_at: Timestamp,
    /// Why it is there.
    pub cause: Cause,
    /// What it enqueued; none: missed.
    #[cfg_attr(feature = "schema", schema(value_type = Option<uuid::Uuid>))]
    pub job_id: Option<JobId>,
    /// The state of that job, as long as it is kept.
    pub job_state: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// Ticks, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TickPage {
    /// A page of them.
    pub ticks: Vec<TickView>,
    /// Where the next page starts, if there is one.
    pub next: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
pub(super) struct ScheduleRow {
    name: String,
    cron: String,
    time_zone: String,
    catch_up: CatchUp,
    overlap: Overlap,
    jitter_seconds: i32,
    starts_at: Option<jiff_sqlx::Timestamp>,
    ends_at: Option<jiff_sqlx::Timestamp>,
    ended: bool,
    paused: bool,
    job: Json<JobSpec>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    now: jiff_sqlx::Timestamp,
    missed: i64,
    #[sqlx(flatten)]
    last: TickRow,
}

/// All of it is null when there is no tick.
#[derive(sqlx::FromRow)]
pub(super) struct TickRow {
    fire_at: Option<jiff_sqlx::Timestamp>,
    cause: Option<Cause>,
    job_id: Option<JobId>,
    job_state: Option<String>,
    ticked_at: Option<jiff_sqlx::Timestamp>,
}

impl ScheduleRow {
    pub(super) fn into_view(self) -> ScheduleView {
        let [starts_at, ends_at] = [self.starts_at, self.ends_at].map(|at| at.map(jiff_sqlx::Timestamp::to_jiff));
        // None when this binary cannot read it.
        let zone = TimeZone::get(&self.time_zone).ok();
        let ticks = zone.and_then(|zone| Ticks::of(&self.cron, zone, starts_at, ends_at).ok());
        let next = match &ticks {
            Some(ticks) if !self.paused => {
                let next = |at: &Timestamp| ticks.next_after(*at);
                std::iter::successors(next(&self.now.to_jiff()), next).take(NEXT_TICKS_SHOWN).collect()
            }
            _ => Vec::new(),
        };
        ScheduleView {
            next,
            at: ticks.and_then(|ticks| ticks.once()),
            overlap: self.overlap,
            starts_at,
            ends_at,
            ended: self.ended,
            name: self.name,
            cron: self.cron,
            time_zone: self.time_zone,
            catch_up: self.catch_up,
            jitter_seconds: self.jitter_seconds.unsigned_abs(),
            paused: self.paused,
            job: self.job.0,
            last: self.last.into_view(),
            missed: self.missed.unsigned_abs(),
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
        }
    }
}

impl TickRow {
    pub(super) fn into_view(self) -> Option<TickView> {
        Some(TickView {
            fire_at: self.fire_at?.to_jiff(),
            cause: self.cause?,
            job_id: self.job_id,
            job_state: self.job_state,
            created_at: self.ticked_at?.to_jiff(),
        })
    }
}
