//! A transaction, lock by lock.

use super::{ADD, CANCEL, Group, GroupState, Groups, MEMBERS, Member, Mistake, SEAL, State, Step};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Transaction {
    None,
    /// It has a member's row, and wants the group's.
    Row {
        member: u8,
        act: Act,
        seen: Group,
    },
    /// It has all it needs; the rest is its commit.
    Held(Held),
    Over,
}

/// What a run of a member has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Complete,
    Fail,
    Retry,
    /// The fence said that the group has stopped.
    Stop,
}

/// What a commit makes visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Held {
    group: Group,
    member: Option<(u8, Member)>,
    /// A bit for each member that it cancels.
    victims: u8,
    joins: (u8, u8),
}

impl Transaction {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::None | Self::Over)
    }
}

impl Groups {
    pub(super) fn transaction(&self, state: &State, slot: usize, out: &mut Vec<Step<State>>) {
        // `for no key update` of the group's row, and what updates it
        let free = !state.transactions.iter().any(|other| matches!(other, Transaction::Held(_)));
        let mut step = |name, transaction, mut next: State| {
            next.transactions[slot] = transaction;
            out.push(Step { name, fair: true, to: Ok(next) });
        };

        match state.transactions[slot] {
            Transaction::Over => return,
            Transaction::None => match slot {
                SEAL if free => {
                    let mut group = state.group;
                    group.seal();
                    let joins = group.close();
                    step("the group is sealed", held(group, None, 0, joins), state.clone());
                }
                CANCEL if free && self.cancels => {
                    if state.group.finished {
                        step("too late to cancel", Transaction::Over, state.clone());
                        return;
                    }
                    let (mut group, mut next) = (state.group, state.clone());
                    group.cancel();
                    let victims = self.cancel_members(&mut next, &mut group, slot, None);
                    step("the group is cancelled", held(group, None, victims, (0, 0)), next);
                }
                ADD if free => {
                    // the gate
                    let mut group = state.group;
                    if group.state != GroupState::Open || group.sealed {
                        step("the group takes no more members", Transaction::Over, state.clone());
                        return;
                    }
                    group.total += 1;
                    let member = Some((MEMBERS as u8 - 1, Member::Available));
                    step("a member is added", held(group, member, 0, (0, 0)), state.clone());
                }
                SEAL | CANCEL | ADD => {}
                _ => self.begin(state, slot, out),
            },
            Transaction::Row { member, act, seen } => {
                let (mut group, mut next) = (state.group, state.clone());
                match act {
                    Act::Complete if free => {
                        if self.mistake == Mistake::StaleCount {
                            group = seen;
                        }
                        let joins = group.complete();
                        step("a member is completed", held(group, Some((member, Member::Completed)), 0, joins), next);
                    }
                    Act::Fail if free => {
                        let stops = group.count(1, 0, self.policy);
                        let victims =
                            if stops { self.cancel_members(&mut next, &mut group, slot, Some(member)) } else { 0 };
                        let joins = group.close();
                        let held = held(group, Some((member, Member::Dead)), victims, joins);
                        step("a member's failure is counted", held, next);
                    }
                    Act::Stop if free => {
                        group.count(0, 1, self.policy);
                        let joins = group.close();
                        step("a member is stopped", held(group, Some((member, Member::Cancelled)), 0, joins), next);
                    }
                    Act::Retry if self.mistake == Mistake::CarelessRetry => {
                        next.members[usize::from(member)] = Member::Scheduled;
                        unlock(&mut next, slot);
                        step("a retry does not look at its group", Transaction::None, next);
                    }
                    // `cancel_waiting_of_stopped`
                    Act::Retry if free => {
                        let stopped = group.state != GroupState::Open;
                        let (to, joins) = if stopped {
                            group.count(0, 1, self.policy);
                            (Member::Cancelled, group.close())
                        } else {
                            (Member::Scheduled, (0, 0))
                        };
                        step("a retry looks at its group", held(group, Some((member, to)), 0, joins), next);
                    }
                    _ => {}
                }
            }
            Transaction::Held(held) => step("commit", after(slot), commit(state, slot, held)),
        }
        if !state.transactions[slot].is_over() && state.faults > 0 {
            let mut next = aborted(state, slot);
            next.faults -= 1;
            out.push(Step { name: "a transaction is aborted", fair: false, to: Ok(next) });
        }
    }

    /// A worker locks the row of a member that is still to be done: `COMPLETE` and `SETTLE` begin with it.
    fn begin(&self, state: &State, slot: usize, out: &mut Vec<Step<State>>) {
        let due = |i: &usize| state.members[*i] == Member::Available && state.rows[*i].is_none();
        for i in (0..MEMBERS).filter(due) {
            let stopped = state.group.state != GroupState::Open;
            // The fence may have been asked before the group stopped, so the others are possible then, too.
            let acts =
                [(Act::Complete, true), (Act::Fail, true), (Act::Retry, !state.retried[i]), (Act::Stop, stopped)];
            for (act, possible) in acts {
                if !possible {
                    continue;
                }
                let mut next = state.clone();
                next.rows[i] = Some(slot as u8);
                next.retried[i] |= act == Act::Retry;
                next.transactions[slot] = Transaction::Row { member: i as u8, act, seen: state.group };
                out.push(Step { name: "a worker locks a member", fair: true, to: Ok(next) });
            }
        }
    }

    /// `cancel_members`: `for update skip locked`.
    fn cancel_members(&self, next: &mut State, group: &mut Group, slot: usize, own: Option<u8>) -> u8 {
        let mut victims = 0;
        for i in 0..MEMBERS {
            let waits = matches!(next.members[i], Member::Available | Member::Scheduled);
            if waits && next.rows[i].is_none() && own != Some(i as u8) {
                next.rows[i] = Some(slot as u8);
                victims |= 1 << i;
                group.cancelled += u8::from(self.mistake != Mistake::UncountedVictims);
            }
        }
        victims
    }
}

fn held(group: Group, member: Option<(u8, Member)>, victims: u8, joins: (u8, u8)) -> Transaction {
    Transaction::Held(Held { group, member, victims, joins })
}

/// Workers go on; the others have done their one thing.
fn after(slot: usize) -> Transaction {
    if slot < SEAL { Transaction::None } else { Transaction::Over }
}

fn commit(state: &State, slot: usize, held: Held) -> State {
    let mut next = state.clone();
    next.group = held.group;
    next.joins = (state.joins.0 + held.joins.0, state.joins.1 + held.joins.1);
    if let Some((member, to)) = held.member {
        next.members[usize::from(member)] = to;
    }
    for i in (0..MEMBERS).filter(|i| held.victims & 1 << i != 0) {
        next.members[i] = Member::Cancelled;
    }
    unlock(&mut next, slot);
    next
}

fn aborted(state: &State, slot: usize) -> State {
    let mut next = state.clone();
    unlock(&mut next, slot);
    next.transactions[slot] = Transaction::None;
    next
}

fn unlock(state: &mut State, slot: usize) {
    state.rows.iter_mut().filter(|row| **row == Some(slot as u8)).for_each(|row| *row = None);
}
