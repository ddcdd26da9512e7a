//! A group and its join: two workers, and transactions that seal it, cancel it and add a member, all at once.
//!
//! A transaction's steps are its locks: rows of jobs first, then the group's. What it does under the group's lock becomes
//! visible with its commit. It may be aborted at any point (that is a fault) and is tried again then. Groups inside groups
//! and members that are run again are not modelled.

mod group;
mod transaction;

use gristmill_queue::GroupPolicy;

use super::search::{Model, Step, search};
use group::{Group, State as GroupState};
use transaction::Transaction;

/// The last of them is added while the group is open.
const MEMBERS: usize = 3;
/// Two workers, then those that seal, cancel and add.
const SLOTS: usize = 5;
const SEAL: usize = 2;
const CANCEL: usize = 3;
const ADD: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// Completing counts what the group was when the member's row was locked.
    StaleCount,
    /// `cancel_members` does not count whom it cancels.
    UncountedVictims,
    /// A retry does not ask whether the group has stopped.
    CarelessRetry,
}

struct Groups {
    policy: GroupPolicy,
    /// Somebody may cancel it.
    cancels: bool,
    faults: u8,
    mistake: Mistake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Member {
    NotYet,
    Available,
    Scheduled,
    Completed,
    Dead,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    group: Group,
    members: [Member; MEMBERS],
    /// Each may fail once without being dead.
    retried: [bool; MEMBERS],
    /// Completion jobs, and failure jobs.
    joins: (u8, u8),
    /// Who has locked which member's row.
    rows: [Option<u8>; MEMBERS],
    transactions: [Transaction; SLOTS],
    faults: u8,
}

impl Model for Groups {
    type State = State;

    fn start(&self) -> State {
        let mut members = [Member::Available; MEMBERS];
        members[MEMBERS - 1] = Member::NotYet;
        State {
            group: Group::of(MEMBERS as u8 - 1),
            members,
            retried: [false; MEMBERS],
            joins: (0, 0),
            rows: [None; MEMBERS],
            transactions: [Transaction::None; SLOTS],
            faults: self.faults,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<Step<State>>) {
        for slot in 0..SLOTS {
            self.transaction(state, slot, out);
        }
        for i in (0..MEMBERS).filter(|i| state.members[*i] == Member::Scheduled && state.rows[*i].is_none()) {
            // `promote_due`
            let mut next = state.clone();
            next.members[i] = Member::Available;
            out.push(Step { name: "a retry becomes due", fair: true, to: Ok(next) });
        }
    }

    fn wrong(&self, state: &State) -> Option<&'static str> {
        let State { group, members, joins, .. } = state;
        let count = |wanted| members.iter().filter(|member| **member == wanted).count() as u8;
        if joins.0 + joins.1 > 1 {
            return Some("two joins");
        }
        let counted = (group.completed, group.failed, group.cancelled);
        if counted != (count(Member::Completed), count(Member::Dead), count(Member::Cancelled)) {
            return Some("the group counts other members than there are");
        }
        if group.total != MEMBERS as u8 - count(Member::NotYet) {
            return Some("the group's total is wrong");
        }
        if group.state != GroupState::Open && count(Member::Scheduled) > 0 {
            return Some("a member waits in a group that has stopped");
        }
        match group.state {
            GroupState::Completed if joins != &(1, 0) || group.failed > 0 => Some("completed, with the wrong join"),
            GroupState::Failed if joins != &(0, 1) || group.failed == 0 => Some("failed, with the wrong join"),
            GroupState::Open | GroupState::Failing | GroupState::Cancelled if joins != &(0, 0) => {
                Some("a join too early")
            }
            _ => None,
        }
    }

    fn done(&self, state: &State) -> bool {
        let ended = |member| !matches!(member, Member::Available | Member::Scheduled);
        state.members.into_iter().all(ended)
            && state.group.finished
            && state.rows == [None; MEMBERS]
            && state.transactions.iter().all(Transaction::is_over)
    }
}

fn holds(policy: GroupPolicy, cancels: bool, faults: u8) {
    let (states, steps) = search(&Groups { policy, cancels, faults, mistake: Mistake::None }).holds();
    eprintln!(
        "{policy:?}, {MEMBERS} members, cancelled: {cancels}, up to {faults} aborts: {states} states, {steps} steps"
    );
    assert!(states > 1_000, "only {states} states");
}

#[test]
fn a_group_that_continues_has_one_join() {
    holds(GroupPolicy::Continue, false, 1);
    holds(GroupPolicy::Continue, true, 0);
}

#[test]
fn a_group_that_fails_fast_has_one_join() {
    holds(GroupPolicy::FailFast, false, 1);
    holds(GroupPolicy::FailFast, true, 0);
}

fn found(policy: GroupPolicy, mistake: Mistake) -> super::search::Found<State> {
    search(&Groups { policy, cancels: false, faults: 0, mistake })
}

#[test]
fn a_stale_count_is_found() {
    let why = "the group's total is wrong";
    found(GroupPolicy::Continue, Mistake::StaleCount).is_wrong(why, "a member is completed");
}

#[test]
fn victims_that_are_not_counted_are_found() {
    let why = "the group counts other members than there are";
    found(GroupPolicy::FailFast, Mistake::UncountedVictims).is_wrong(why, "a member's failure is counted");
}

#[test]
fn a_retry_in_a_stopped_group_is_found() {
    // Nothing is lost by it: the fence stops it later. But nobody may wait for a retry of a group that has failed.
    let found = found(GroupPolicy::FailFast, Mistake::CarelessRetry);
    found.is_wrong("a member waits in a group that has stopped", "a retry does not look at its group");
}
