//! One worker, and one run of a job: `src/run.rs`, step by step.

use super::{Delivery, Mistake, State, Step};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Idle,
    Busy { job: u8, number: u8, phase: Phase },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Claimed,
    /// The ledger said that it is still to be done.
    Fenced,
    /// Its transaction has written the effect.
    Written,
    /// Its transaction has completed the job and holds the row's lock.
    Completing,
    /// The body returned an error.
    Failed,
    /// Whatever there was to say is in the ledger; Redis is told until it has answered.
    Answering,
}

impl Worker {
    pub(super) fn runs(&self, j: usize) -> bool {
        matches!(self, Self::Busy { job, phase: Phase::Fenced | Phase::Written | Phase::Completing, .. }
            if usize::from(*job) == j)
    }

    pub(super) fn answers(&self, j: usize, delivery: u8) -> bool {
        matches!(self, Self::Busy { job, number, phase: Phase::Answering }
            if usize::from(*job) == j && *number == delivery)
    }

    pub(super) fn lose_transaction(&mut self) {
        if let Self::Busy { phase: phase @ (Phase::Written | Phase::Completing), .. } = self {
            *phase = Phase::Failed;
        }
    }
}

impl<const JOBS: usize> Delivery<JOBS> {
    pub(super) fn worker(&self, state: &State<JOBS>, w: usize, out: &mut Vec<Step<State<JOBS>>>) {
        let Worker::Busy { job, number, phase } = state.workers[w] else { return self.claim(state, w, out) };
        let j = usize::from(job);
        let row = &state.rows[j];
        let at = |mut next: State<JOBS>, phase| {
            next.workers[w] = Worker::Busy { job, number, phase };
            next
        };
        // The transaction, if there is one, is gone.
        let rolled_back = |mut next: State<JOBS>| {
            let locked = &mut next.rows[j].locked;
            *locked = locked.filter(|owner| usize::from(*owner) != w);
            next
        };
        let mut step = |name, fair, to| out.push(Step { name, fair, to: Ok(to) });

        match phase {
            Phase::Claimed => {
                // `statuses`, without a lock
                let next = if row.is_due() { Phase::Fenced } else { Phase::Answering };
                step("the fence answers", true, at(state.clone(), next));
            }
            Phase::Fenced => {
                // a body that does not ask first
                step("the effect is written", true, at(state.clone(), Phase::Written));
                // a body that does: `lock`, which waits for the row
                if row.free_for(w) {
                    let mut next = state.clone();
                    let phase = if row.is_due() {
                        next.rows[j].locked = Some(w as u8);
                        Phase::Written
                    } else {
                        Phase::Answering
                    };
                    step("the row is locked and the effect is written", true, at(next, phase));
                }
            }
            Phase::Written if row.free_for(w) => {
                // `complete`
                if row.is_due() || self.mistake == Mistake::NoFence {
                    let mut next = state.clone();
                    next.rows[j].locked = Some(w as u8);
                    step("the job is completed, not yet committed", true, at(next, Phase::Completing));
                } else {
                    step("already done: rolled back", true, at(rolled_back(state.clone()), Phase::Answering));
                }
            }
            Phase::Written => {}
            Phase::Completing => {
                for flushed in [true, false] {
                    let mut next = state.clone();
                    next.rows[j].commit(flushed);
                    step("the commit", true, at(next, Phase::Answering));
                    if let Some(mut next) = state.fault() {
                        next.rows[j].commit(flushed);
                        step("the commit, whose answer is lost", false, at(next, Phase::Failed));
                    }
                }
            }
            // `settle` waits for the row, too
            Phase::Failed if row.free_for(w) => {
                let mut next = state.clone();
                next.rows[j].retry();
                step("the failure is settled", true, at(next, Phase::Answering));
            }
            Phase::Failed => {}
            Phase::Answering => {
                let mut next = state.clone();
                next.workers[w] = Worker::Idle;
                next.acknowledge(j, number, self.mistake);
                step("the acknowledgement", true, next);
                if let Some(mut next) = state.fault() {
                    next.acknowledge(j, number, self.mistake);
                    step("the acknowledgement, whose answer is lost", false, next);
                }
                if let Some(mut next) = state.fault() {
                    next.acks[j] |= 1 << number;
                    step("an acknowledgement is held up", false, next);
                }
            }
        }

        let runs = matches!(phase, Phase::Claimed | Phase::Fenced | Phase::Written);
        if runs && state.broker[j].lost(number) {
            // `Claims::lose` cancels the body; what it answers is void
            step("the keeper hears that the lease is lost", true, at(rolled_back(state.clone()), Phase::Answering));
        }
        let Some(faulty) = state.fault() else { return };
        if matches!(phase, Phase::Written | Phase::Completing) {
            step("the connection to Postgres is lost", false, at(rolled_back(faulty.clone()), Phase::Failed));
        }
        if runs {
            let mut next = rolled_back(faulty.clone());
            next.broker[j].release(number);
            next.workers[w] = Worker::Idle;
            step("the worker stops and hands back", false, next);
        }
        let mut next = rolled_back(faulty);
        next.workers[w] = Worker::Idle;
        step("the worker dies", false, next);
    }

    fn claim(&self, state: &State<JOBS>, w: usize, out: &mut Vec<Step<State<JOBS>>>) {
        // Which of several jobs comes first is left open.
        for j in (0..JOBS).filter(|j| state.broker[*j].ready > 0) {
            let mut next = state.clone();
            if let Some(number) = next.broker[j].claim(Some(w as u8)) {
                next.workers[w] = Worker::Busy { job: j as u8, number, phase: Phase::Claimed };
            }
            out.push(Step { name: "a claim", fair: true, to: Ok(next) });
            if let Some(mut next) = state.fault()
                && next.broker[j].claim(None).is_some()
            {
                out.push(Step { name: "a claim, whose answer is lost", fair: false, to: Ok(next) });
            }
        }
    }
}
