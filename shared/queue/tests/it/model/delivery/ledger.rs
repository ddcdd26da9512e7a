//! One row of `jobs`, its effect, and who moves it to the broker.

use super::{Delivery, Mistake, State, Step};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum JobStatus {
    #[default]
    Available,
    Scheduled,
    Completed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    status: JobStatus,
    /// Committed rows of its effect.
    pub(super) effects: u8,
    /// Its completion is not on disk yet (`synchronous_commit = off`).
    unflushed: bool,
    /// The worker whose transaction has locked it.
    pub(super) locked: Option<u8>,
}

impl Row {
    /// `where state = 'available'`: of the fence, of `lock`, of `complete`, of `settle` and of the sweep.
    pub(super) fn is_due(&self) -> bool {
        self.status == JobStatus::Available
    }

    pub(super) fn is_completed(&self) -> bool {
        self.status == JobStatus::Completed
    }

    /// Whether `w` would get its lock now.
    pub(super) fn free_for(&self, w: usize) -> bool {
        self.locked.is_none_or(|owner| usize::from(owner) == w)
    }

    /// The commit of the effect's transaction.
    pub(super) fn commit(&mut self, flushed: bool) {
        self.status = JobStatus::Completed;
        self.effects += 1;
        self.unflushed = !flushed;
        self.locked = None;
    }

    /// `settle` with a retry.
    pub(super) fn retry(&mut self) {
        if self.is_due() {
            self.status = JobStatus::Scheduled;
        }
    }

    /// Open transactions are gone, and with them the commits that were not flushed.
    pub(super) fn crash(&mut self) {
        self.locked = None;
        if self.unflushed {
            *self = Self::default();
        }
    }
}

impl<const JOBS: usize> Delivery<JOBS> {
    /// The scheduler's part.
    pub(super) fn relay(&self, state: &State<JOBS>, j: usize, out: &mut Vec<Step<State<JOBS>>>) {
        let row = &state.rows[j];
        if row.status == JobStatus::Scheduled {
            // `promote_due`, and its push
            let mut next = state.clone();
            next.rows[j].status = JobStatus::Available;
            next.pushes[j] = true;
            out.push(Step { name: "a retry becomes due", fair: true, to: Ok(next) });
        }
        if row.is_due() && !state.broker[j].message && !state.pushes[j] && self.mistake != Mistake::NoHealing {
            // (A push that finds no place is a lost one here, and the refill is this step, too.)
            // `available_after`, `known` and `rows_not_waiting`; the push arrives later, when all of that may have changed
            let mut next = state.clone();
            next.pushes[j] = true;
            out.push(Step { name: "the sweep finds a job that the broker does not know", fair: true, to: Ok(next) });
        }
        if row.unflushed {
            let mut next = state.clone();
            next.rows[j].unflushed = false;
            out.push(Step { name: "Postgres flushes", fair: true, to: Ok(next) });
        }
    }
}
