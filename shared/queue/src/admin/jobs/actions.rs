//! What is done to all jobs that meet a filter, a slice after the other.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{JobFilter, Jobs};
use crate::{JobId, JobState, QueueError};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Those that wait are cancelled, those that run are told to stop.
    Cancel,
    /// Those that are dead or parked (or cancelled, when the filter names that state) run again, with all their
    /// attempts before them.
    Redrive {
        /// At most so many start a second; none: all at once.
        per_second: Option<f64>,
    },
    /// Those that are dead or parked are given up: cancelled, their errors kept.
    Discard,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActionProgress {
    /// Jobs that are what was wanted.
    pub changed: u64,
    /// Jobs that run, and were told to stop.
    pub requested: u64,
    /// There may be more: go on here.
    pub next: Option<ActionPlace>,
}

/// Where an action that had no more time goes on. To be handed back as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionPlace {
    pub(super) after: JobId,
    /// The next one of a redrive starts then.
    pub(super) starts: Timestamp,
}

/// No [`ActionPlace`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a place that an action came to")]
pub struct NoActionPlace;

impl fmt::Display for ActionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{:x}.{:x}", self.after.get().as_u128(), self.starts.as_millisecond().max(0))
    }
}

impl FromStr for ActionPlace {
    type Err = NoActionPlace;

    fn from_str(text: &str) -> Result<Self, NoActionPlace> {
        let (after, starts) = text.strip_prefix('a').and_then(|rest| rest.split_once('.')).ok_or(NoActionPlace)?;
        if !after.bytes().chain(starts.bytes()).all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoActionPlace);
        }
        let after = u128::from_str_radix(after, 16).map_err(|_| NoActionPlace)?;
        let starts = i64::from_str_radix(starts, 16).map_err(|_| NoActionPlace)?;
        let starts = Timestamp::from_millisecond(starts).map_err(|_| NoActionPlace)?;
        Ok(Self { after: JobId::from(Uuid::from_u128(after)), starts })
    }
}

impl JobAction {
    /// The jobs of a filter that this can do something to; none when there cannot be any.
    #[must_use]
    pub fn aim(self, filter: &JobFilter) -> Option<JobFilter> {
        use JobState::{Available, Cancelled, Dead, Parked, Scheduled};
        let (usual, possible): (&[JobState], &[JobState]) = match self {
            Self::Cancel => (&[Available, Scheduled, Parked], &[Available, Scheduled, Parked]),
            Self::Redrive { .. } => (&[Dead, Parked], &[Dead, Parked, Cancelled]),
            Self::Discard => (&[Dead, Parked], &[Dead, Parked]),
        };
        let states: Vec<JobState> = if filter.states.is_empty() {
            usual.to_vec()
        } else {
            filter.states.iter().copied().filter(|state| possible.contains(state)).collect()
        };
        (!states.is_empty()).then(|| JobFilter { states, ..filter.clone() })
    }
}

impl Jobs {
    /// Acts on jobs that meet the filter until there are no more of them, or `time` is over: then `next` says where to
    /// go on. Each slice commits by itself. Jobs enqueued meanwhile are not looked at.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn act(
        &self,
        action: JobAction,
        filter: &JobFilter,
        from: Option<ActionPlace>,
        time: Duration,
    ) -> Result<ActionProgress, QueueError> {
        let started = Instant::now();
        let mut conn = self.queue.pool().acquire().await?;
        let mut acting = self.begin(&mut conn, action, filter, from).await?;
        drop(conn);
        while !acting.is_over() {
            let mut tx = self.queue.pool().begin().await?;
            acting.step(&mut tx).await?;
            tx.commit().await?;
            acting.committed().await;
            if started.elapsed() >= time && acting.may_stop() {
                break;
            }
        }
        Ok(acting.acted())
    }

    /// Cancels every job of the filter.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn cancel(&self, filter: &JobFilter) -> Result<ActionProgress, QueueError> {
        self.act(JobAction::Cancel, filter, None, Duration::MAX).await
    }

    /// Runs every job of the filter again that has ended badly; at most `per_second` of them start a second.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn redrive(&self, filter: &JobFilter, per_second: Option<f64>) -> Result<ActionProgress, QueueError> {
        self.act(JobAction::Redrive { per_second }, filter, None, Duration::MAX).await
    }

    /// Gives every job of the filter up that has ended badly.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn discard(&self, filter: &JobFilter) -> Result<ActionProgress, QueueError> {
        self.act(JobAction::Discard, filter, None, Duration::MAX).await
    }
}

/// How long each of `n` jobs waits for its start, in milliseconds; `starts` moves on to the one after them.
pub(super) fn spread(n: usize, per_second: Option<f64>, starts: &mut Timestamp) -> Vec<i64> {
    let gap = match per_second {
        Some(rate) if rate > 0.0 => SignedDuration::try_from_secs_f64(1.0 / rate).unwrap_or(SignedDuration::MAX),
        _ => SignedDuration::ZERO,
    };
    let now = Timestamp::now();
    *starts = (*starts).max(now);
    let mut delays = Vec::with_capacity(n);
    for _ in 0..n {
        delays.push(starts.as_millisecond() - now.as_millisecond());
        *starts = starts.saturating_add(gap).unwrap_or(Timestamp::MAX);
    }
    delays
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_keeps_its_pace_over_slices() {
        let begun = Timestamp::now() + SignedDuration::from_secs(60);
        let mut starts = begun;
        let first = spread(3, Some(2.0), &mut starts);
        let least = begun.as_millisecond() - Timestamp::now().as_millisecond();
        assert!((least..=60_000).contains(&first[0]), "at least {least}: {first:?}");
        assert_eq!([first[1] - first[0], first[2] - first[0]], [500, 1_000]);
        assert_eq!(starts.duration_since(begun).as_millis(), 1_500);
        let now = Timestamp::now();
        starts = now;
        assert_eq!(spread(2, None, &mut starts), [0, 0]);
        assert!(starts <= Timestamp::now(), "all at once");
    }

    #[test]
    fn a_place_comes_back_as_it_went() {
        let starts = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
        let place = ActionPlace { after: JobId::from(Uuid::now_v7()), starts };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "a", "a1", "a.1", "b1.1", "a+1.1", &format!("a{}.1", "f".repeat(33))] {
            assert_eq!(bad.parse::<ActionPlace>(), Err(NoActionPlace), "{bad}");
        }
    }

    #[test]
    fn an_action_aims_at_what_it_can_change() {
        let states = |action: JobAction, states: &[JobState]| {
            action.aim(&JobFilter { states: states.to_vec(), ..JobFilter::default() }).map(|filter| filter.states)
        };
        let redrive = JobAction::Redrive { per_second: None };
        assert_eq!(states(redrive, &[]), Some(vec![JobState::Dead, JobState::Parked]));
        assert_eq!(states(redrive, &[JobState::Cancelled]), Some(vec![JobState::Cancelled]));
        assert_eq!(states(JobAction::Discard, &[JobState::Dead, JobState::Completed]), Some(vec![JobState::Dead]));
        assert_eq!(states(JobAction::Cancel, &[JobState::Completed]), None);
    }
}
