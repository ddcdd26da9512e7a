//! Which ticks a schedule owes since it was last looked at.

use std::collections::VecDeque;

use gristmill_core::string_enum;
use jiff::{SignedDuration, Timestamp};

use super::ticks::Ticks;

string_enum! {
    /// What becomes of ticks that no scheduler was there for.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum CatchUp {
        /// They are missed.
        Skip,
        /// The last one runs, when nothing newer does; the others are missed.
        #[default]
        Latest,
        /// All of them run.
        All,
    }
}

string_enum! {
    /// What a tick does while the job of the one before has not ended.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Overlap {
        /// It fires: both run.
        #[default]
        Allow,
        /// It is skipped. Of many ticks that are caught up on, the last one fires.
        Skip,
    }
}

string_enum! {
    /// Why a tick is there.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TickCause))]
    #[non_exhaustive]
    pub enum Cause {
        /// It fired in time.
        Due,
        /// It fired late, because of [`CatchUp`].
        CaughtUp,
        /// Somebody asked for it.
        RunNow,
        /// It did not fire.
        Missed,
        /// It did not fire, as the job of the one before had not ended: [`Overlap::Skip`].
        Skipped,
    }
}

/// A tick that a scheduler comes to within this time is in time: the restart of an engine makes nobody miss anything.
pub(crate) const IN_TIME: SignedDuration = SignedDuration::from_secs(10);
/// Missed ticks that a gap leaves behind; older ones are forgotten.
pub(crate) const MISSED_KEPT: usize = 100;
/// Ticks of one schedule that fire in one transaction; more follow in the next.
const MAX_TICKS_PER_TRANSACTION: usize = 200;

/// What to write down for one schedule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) ticks: Vec<(Timestamp, Cause)>,
    /// Everything up to here is dealt with.
    pub(crate) until: Timestamp,
    /// When to look again.
    pub(crate) next: Option<Timestamp>,
}

pub(crate) fn plan(ticks_of: &Ticks, catch_up: CatchUp, since: Timestamp, now: Timestamp) -> Plan {
    let in_time = (now - IN_TIME).max(since);
    let (ticks, until) = if catch_up == CatchUp::All {
        let cause = |at| if at > now - IN_TIME { Cause::Due } else { Cause::CaughtUp };
        let ticks: Vec<_> =
            fires(ticks_of, since, now).take(MAX_TICKS_PER_TRANSACTION).map(|at| (at, cause(at))).collect();
        let until = if ticks.len() < MAX_TICKS_PER_TRANSACTION { now } else { ticks.last().map_or(now, |(at, _)| *at) };
        (ticks, until)
    } else {
        let due: Vec<_> = fires(ticks_of, in_time, now).map(|at| (at, Cause::Due)).collect();
        let catches_up = catch_up == CatchUp::Latest && due.is_empty();
        let late = last_fires(ticks_of, since, in_time, MISSED_KEPT + usize::from(catches_up));
        let mut ticks: Vec<_> = late.into_iter().map(|at| (at, Cause::Missed)).collect();
        if let Some((_, cause)) = ticks.last_mut().filter(|_| catches_up) {
            *cause = Cause::CaughtUp;
        }
        ticks.extend(due);
        (ticks, now)
    };
    // A clock that was set back does not fire anything again.
    let until = until.max(since);
    Plan { ticks, until, next: ticks_of.next_after(until) }
}

/// Fire times after `after`, up to and including `until`.
fn fires(ticks_of: &Ticks, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let next = move |at: &Timestamp| ticks_of.next_after(*at);
    std::iter::successors(next(&after), next).take_while(move |at| *at <= until)
}

/// The last `n` of them. Looks back further and further, so that a long gap costs no more than a short one.
fn last_fires(ticks_of: &Ticks, after: Timestamp, until: Timestamp, n: usize) -> VecDeque<Timestamp> {
    let mut back = SignedDuration::from_secs(2 * n as i64);
    loop {
        let from = until.checked_sub(back).map_or(after, |from| from.max(after));
        let mut last = VecDeque::with_capacity(n + 1);
        for at in fires(ticks_of, from, until) {
            last.push_back(at);
            if last.len() > n {
                last.pop_front();
            }
        }
        if last.len() == n || from == after {
            return last;
        }
        back = back.saturating_mul(4);
    }
}

/// How much later than `fire_at` the job of this tick starts: up to `seconds`, always the same for the same tick.
pub(crate) fn jitter(schedule: &str, fire_at: Timestamp, seconds: i32) -> SignedDuration {
    // FNV-1a, and a last mixing round: neighbouring ticks differ in few bits.
    let bytes = schedule.bytes().chain(fire_at.as_second().to_be_bytes());
    let mut hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    let millis = u64::from(seconds.max(0).unsigned_abs()) * 1_000;
    SignedDuration::from_millis((hash % (millis + 1)) as i64)
}
