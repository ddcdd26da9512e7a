//! Claim, lease, fence, effect, completion and acknowledgement, with two workers.
//!
//! Anything may be lost, late or repeated, a process may die between any two steps, Redis may lose everything or come
//! back as it was before, Postgres may forget commits that it had not flushed: as often as `faults` allows, at any
//! moment. Time is not modelled: a lease may run out whenever it likes, under a living worker too (that is a fault).
//! Not modelled either: strikes, which decide beside what a job runs and after how many deliveries it is given up.

mod broker;
mod ledger;
mod worker;

use broker::Broker;
use ledger::Row;
use worker::Worker;

use super::search::{Found, Model, Step, search};

pub(super) const WORKERS: usize = 2;

/// What is left out on purpose, to see that the search notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// `complete` does not ask whether the job is still to be done.
    NoFence,
    /// `ack.lua` does not compare the number of the delivery.
    AnyAck,
    /// The sweep does not push what the broker does not know.
    NoHealing,
    /// `reap.lua` does not put expired leases back in line.
    NoReaper,
}

struct Delivery<const JOBS: usize> {
    faults: u8,
    /// Redis may come back with an older state.
    rollback: bool,
    mistake: Mistake,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State<const JOBS: usize> {
    rows: [Row; JOBS],
    broker: [Broker; JOBS],
    /// What Redis last wrote down.
    saved: Option<[Broker; JOBS]>,
    workers: [Worker; WORKERS],
    /// Pushes on their way to Redis.
    pushes: [bool; JOBS],
    /// Acknowledgements on their way, a bit for each number.
    acks: [u8; JOBS],
    faults: u8,
    /// Two may now run the same job: a lease ran out under a living worker, or Redis lost what it knew, or an
    /// acknowledgement was executed of which another copy is on its way. (The numbers of deliveries begin anew with each
    /// push. So the copy ends another worker's lease when the job was retried and claimed again meanwhile.) The fence
    /// holds all the same.
    excused: bool,
}

impl<const JOBS: usize> State<JOBS> {
    /// The state after one fault more, if there may be one more.
    fn fault(&self) -> Option<Self> {
        let mut next = self.clone();
        next.faults = self.faults.checked_sub(1)?;
        Some(next)
    }

    fn acknowledge(&mut self, j: usize, number: u8, mistake: Mistake) {
        let before = self.broker[j];
        self.broker[j].ack(number, mistake);
        let repeated = self.acks[j] != 0 || self.workers.iter().any(|worker| worker.answers(j, number));
        self.excused |= self.broker[j] != before && repeated;
    }
}

impl<const JOBS: usize> Model for Delivery<JOBS> {
    type State = State<JOBS>;

    /// Committed; the enqueuer is about to push.
    fn start(&self) -> Self::State {
        State {
            rows: [Row::default(); JOBS],
            broker: [Broker::default(); JOBS],
            saved: None,
            workers: [Worker::Idle; WORKERS],
            pushes: [true; JOBS],
            acks: [0; JOBS],
            faults: self.faults,
            excused: false,
        }
    }

    fn steps(&self, state: &Self::State, out: &mut Vec<Step<Self::State>>) {
        for w in 0..WORKERS {
            self.worker(state, w, out);
        }
        for j in 0..JOBS {
            self.redis(state, j, out);
            self.relay(state, j, out);
        }
        self.outages(state, out);
    }

    fn wrong(&self, state: &Self::State) -> Option<&'static str> {
        for j in 0..JOBS {
            let (row, broker) = (&state.rows[j], &state.broker[j]);
            if row.effects > 1 {
                return Some("two effects");
            }
            if (row.effects == 1) != row.is_completed() {
                return Some("the ledger and the data disagree");
            }
            if broker.message && broker.ready == 0 && broker.lease.is_none() {
                return Some("the broker knows a job that is neither in line nor leased");
            }
            let running = state.workers.iter().filter(|worker| worker.runs(j)).count();
            if running > 1 && !state.excused {
                return Some("two workers run a job without an excuse");
            }
        }
        None
    }

    fn done(&self, state: &Self::State) -> bool {
        state.rows.iter().all(|row| row.effects == 1)
            && state.broker == [Broker::default(); JOBS]
            && state.workers == [Worker::Idle; WORKERS]
            && state.pushes == [false; JOBS]
            && state.acks == [0; JOBS]
    }
}

fn holds<const JOBS: usize>(faults: u8, rollback: bool) {
    let (states, steps) = search(&Delivery::<JOBS> { faults, rollback, mistake: Mistake::None }).holds();
    eprintln!("{JOBS} jobs, {WORKERS} workers, up to {faults} faults: {states} states, {steps} steps");
    assert!(states > 10_000, "only {states} states");
}

#[test]
fn one_job_is_done_once_whatever_happens() {
    holds::<1>(3, true);
}

#[test]
fn two_jobs_are_done_once_whatever_happens() {
    holds::<2>(2, false);
}

fn found(mistake: Mistake, faults: u8) -> Found<State<1>> {
    search(&Delivery::<1> { faults, rollback: false, mistake })
}

#[test]
fn without_the_fence_the_search_finds_two_effects() {
    found(Mistake::NoFence, 2).is_wrong("two effects", "the commit");
}

#[test]
fn without_numbers_the_search_finds_an_acknowledgement_that_ends_anothers_lease() {
    let why = "two workers run a job without an excuse";
    found(Mistake::AnyAck, 3).is_wrong(why, "a late acknowledgement arrives");
}

#[test]
fn without_healing_the_search_finds_a_job_that_is_never_done() {
    found(Mistake::NoHealing, 1).is_stuck("a push is lost");
}

#[test]
fn without_a_reaper_the_search_finds_a_job_that_is_never_done() {
    found(Mistake::NoReaper, 1).is_stuck("a claim, whose answer is lost");
}
