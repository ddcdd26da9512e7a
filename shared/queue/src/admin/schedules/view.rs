//! What is shown of schedules.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::{CatchUp, Cause, JobId, JobSpec, cron::Expression};

const NEXT_TICKS_SHOWN: usize = 5;

/// A schedule as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// When.
    pub cron: String,
    /// Whose clocks count.
    pub time_zone: String,
    /// What becomes of ticks that no scheduler was there for.
    pub catch_up: CatchUp,
    /// Jobs start up to this much later than the tick.
    pub jitter_seconds: u32,
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
    jitter_seconds: i32,
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
        let next = if self.paused { Vec::new() } else { self.next() };
        ScheduleView {
            next,
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

    /// None when this binary cannot read it.
    fn next(&self) -> Vec<Timestamp> {
        let (Ok(expression), Ok(zone)) = (Expression::parse(&self.cron), TimeZone::get(&self.time_zone)) else {
            return Vec::new();
        };
        let next = |at: &Timestamp| expression.next_after(*at, &zone);
        std::iter::successors(next(&self.now.to_jiff()), next).take(NEXT_TICKS_SHOWN).collect()
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
