//! One row of `groups`, and the statements that change it.

use gristmill_queue::GroupPolicy;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    Open,
    Failing,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) total: u8,
    pub(super) completed: u8,
    pub(super) failed: u8,
    pub(super) cancelled: u8,
    pub(super) sealed: bool,
    pub(super) state: State,
    pub(super) finished: bool,
}

impl Group {
    pub(super) fn of(total: u8) -> Self {
        Self { total, completed: 0, failed: 0, cancelled: 0, sealed: false, state: State::Open, finished: false }
    }

    fn is_full(&self) -> bool {
        self.sealed && !self.finished && self.completed + self.failed + self.cancelled == self.total
    }

    /// The part of `COMPLETE` that counts; returns the joins it inserts.
    pub(super) fn complete(&mut self) -> (u8, u8) {
        self.completed += 1;
        if self.is_full() {
            self.state = if self.failed > 0 { State::Failed } else { State::Completed };
            self.finished = true;
        }
        // `ended`: every group that was counted and is closed, by this statement or not
        self.join()
    }

    /// `CLOSE`.
    pub(super) fn close(&mut self) -> (u8, u8) {
        if !self.is_full() {
            return (0, 0);
        }
        self.state = if self.failed > 0 { State::Failed } else { State::Completed };
        self.finished = true;
        self.join()
    }

    /// Both policies have an `on_failure` here.
    fn join(&self) -> (u8, u8) {
        match self.state {
            State::Completed => (1, 0),
            State::Failed => (0, 1),
            _ => (0, 0),
        }
    }

    /// `Counts::apply`, then `stop::fail_fast`; returns whether the members that wait are to be cancelled.
    pub(super) fn count(&mut self, failed: u8, cancelled: u8, policy: GroupPolicy) -> bool {
        self.failed += failed;
        self.cancelled += cancelled;
        let stops = failed > 0 && self.state == State::Open && policy == GroupPolicy::FailFast;
        if stops {
            (self.sealed, self.state) = (true, State::Failing);
        }
        stops
    }

    /// `seal`, before its `CLOSE`.
    pub(super) fn seal(&mut self) {
        self.sealed |= self.state == State::Open;
    }

    /// `cancel`, before its members.
    pub(super) fn cancel(&mut self) {
        (self.sealed, self.state, self.finished) = (true, State::Cancelled, true);
    }
}
