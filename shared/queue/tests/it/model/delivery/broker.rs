//! What Redis knows of one job, and the scripts.

use super::{Delivery, Mistake, State, Step, worker::Worker};

/// The job's entries in `messages`, `claims` and `leases`, and in its line. Turns, limits, pauses and delays are not
/// modelled: they only say which of several jobs comes first, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Broker {
    pub(super) message: bool,
    /// How often its id is in line.
    pub(super) ready: u8,
    /// Who holds it (Redis does not know that): nobody, when the answer to the claim was lost.
    pub(super) lease: Option<Option<u8>>,
    pub(super) claims: u8,
}

impl Broker {
    /// `push.lua`: `HSETNX`, and only if that was new `RPUSH`.
    pub(super) fn push(&mut self) {
        if !self.message {
            self.message = true;
            self.ready += 1;
        }
    }

    /// `claim.lua`: `LPOP`; who has no message, or is leased, is passed over. Returns the number of the delivery.
    pub(super) fn claim(&mut self, owner: Option<u8>) -> Option<u8> {
        self.ready -= 1;
        if !self.message || self.lease.is_some() {
            return None;
        }
        self.lease = Some(owner);
        Some(self.claims + 1)
    }

    /// `ack.lua`: only `claims + 1` may; then `ZREM` and `HDEL`s. The list is not touched.
    pub(super) fn ack(&mut self, number: u8, mistake: Mistake) {
        if self.claims + 1 == number || mistake == Mistake::AnyAck {
            *self = Self { ready: self.ready, ..Self::default() };
        }
    }

    /// `release.lua` without a delay.
    pub(super) fn release(&mut self, number: u8) {
        if self.claims + 1 == number && self.lease.is_some() {
            self.lease = None;
            if self.message {
                self.claims += 1;
                self.ready += 1;
            }
        }
    }

    /// `reap.lua`, for a lease that ran out.
    fn reap(&mut self, mistake: Mistake) {
        if !self.message {
            self.lease = None;
            self.claims = 0;
        } else if mistake != Mistake::NoReaper {
            self.claims += 1;
            self.lease = None;
            self.ready += 1;
        }
    }

    /// `renew.lua`: whether the caller hears that somebody else has, or will get, the job.
    pub(super) fn lost(&self, number: u8) -> bool {
        self.claims + 1 != number && self.message
    }
}

impl<const JOBS: usize> Delivery<JOBS> {
    /// What happens to a job in Redis without a worker.
    pub(super) fn redis(&self, state: &State<JOBS>, j: usize, out: &mut Vec<Step<State<JOBS>>>) {
        let broker = &state.broker[j];
        if let Some(owner) = broker.lease {
            let lives = owner.is_some_and(|w| match state.workers[usize::from(w)] {
                Worker::Idle => false,
                Worker::Busy { job, number, .. } => usize::from(job) == j && number == broker.claims + 1,
            });
            if !lives {
                let mut next = state.clone();
                next.broker[j].reap(self.mistake);
                out.push(Step { name: "a lease that nobody keeps runs out", fair: true, to: Ok(next) });
            } else if let Some(mut next) = state.fault() {
                next.broker[j].reap(self.mistake);
                next.excused = true;
                out.push(Step { name: "a lease runs out under a living worker", fair: false, to: Ok(next) });
            }
        }
        if state.pushes[j] {
            let mut next = state.clone();
            next.pushes[j] = false;
            next.broker[j].push();
            out.push(Step { name: "a push arrives", fair: true, to: Ok(next) });
            if let Some(mut next) = state.fault() {
                next.pushes[j] = false;
                out.push(Step { name: "a push is lost", fair: false, to: Ok(next) });
            }
        }
        for number in (1..8).filter(|number| state.acks[j] & 1 << number != 0) {
            let mut next = state.clone();
            next.acks[j] &= !(1 << number);
            next.acknowledge(j, number, self.mistake);
            out.push(Step { name: "a late acknowledgement arrives", fair: true, to: Ok(next) });
        }
    }

    /// What befalls an engine as a whole.
    pub(super) fn outages(&self, state: &State<JOBS>, out: &mut Vec<Step<State<JOBS>>>) {
        let Some(faulty) = state.fault() else { return };
        if self.rollback && state.saved.is_none() && state.broker != [Broker::default(); JOBS] {
            let mut next = state.clone();
            next.saved = Some(state.broker);
            out.push(Step { name: "Redis writes down what it knows", fair: false, to: Ok(next) });
        }
        if let Some(saved) = state.saved {
            let mut next = faulty.clone();
            (next.broker, next.excused) = (saved, true);
            out.push(Step { name: "Redis comes back as it was", fair: false, to: Ok(next) });
        }
        let mut wiped = faulty.clone();
        (wiped.broker, wiped.excused) = ([Broker::default(); JOBS], true);
        out.push(Step { name: "Redis loses everything", fair: false, to: Ok(wiped) });

        let mut crashed = faulty;
        crashed.rows.iter_mut().for_each(super::Row::crash);
        crashed.workers.iter_mut().for_each(Worker::lose_transaction);
        out.push(Step { name: "Postgres crashes", fair: false, to: Ok(crashed) });
    }
}
