//! Numbers and times for people: what the board's templates write by, for those of an application's own pages.

use gristmill_core::human;
use jiff::Timestamp;

/// A whole number. Templates hand over what they show by reference, in whatever type it has.
pub trait Whole {
    /// As the widest one.
    fn whole(&self) -> i128;
}

macro_rules! whole {
    ($($type:ty),+) => { $(impl Whole for $type {
        fn whole(&self) -> i128 {
            i128::try_from(*self).unwrap_or(i128::MAX)
        }
    })+ };
}
whole!(i32, i64, i128, u32, u64, usize);

impl<T: Whole> Whole for &T {
    fn whole(&self) -> i128 {
        (*self).whole()
    }
}

/// A number that may have a fraction.
pub trait Real {
    /// As the widest one.
    fn real(&self) -> f64;
}

impl Real for f64 {
    fn real(&self) -> f64 {
        *self
    }
}

impl Real for f32 {
    fn real(&self) -> f64 {
        f64::from(*self)
    }
}

impl<T: Real> Real for &T {
    fn real(&self) -> f64 {
        (*self).real()
    }
}

/// A time that may not have come.
pub trait Moment {
    /// When it was, or will be.
    fn moment(&self) -> Option<Timestamp>;
}

impl Moment for Timestamp {
    fn moment(&self) -> Option<Timestamp> {
        Some(*self)
    }
}

impl Moment for jiff_sqlx::Timestamp {
    fn moment(&self) -> Option<Timestamp> {
        Some(self.to_jiff())
    }
}

impl<T: Moment> Moment for Option<T> {
    fn moment(&self) -> Option<Timestamp> {
        self.as_ref().and_then(Moment::moment)
    }
}

impl<T: Moment> Moment for &T {
    fn moment(&self) -> Option<Timestamp> {
        (*self).moment()
    }
}

/// Milliseconds since 1970, the same.
pub(crate) fn millis(since: &u64) -> String {
    at(i64::try_from(*since).ok().and_then(|since| Timestamp::from_millisecond(since).ok()))
}

/// Whether a choice is the one that was made.
#[must_use]
pub fn same(one: impl AsRef<str>, other: impl AsRef<str>) -> bool {
    one.as_ref() == other.as_ref()
}

/// As a page's `datetime` wants it.
#[must_use]
pub fn at(time: impl Moment) -> String {
    time.moment().map_or_else(String::new, |time| time.to_string())
}

/// `1,100,000`.
#[must_use]
pub fn count(number: impl Whole) -> String {
    count_of(number.whole())
}

fn count_of(number: i128) -> String {
    let size = human::count(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX));
    if number < 0 { format!("−{size}") } else { size }
}

/// A number of jobs: as it was counted, or, where it was not, `about 1.2 million`.
pub(crate) fn jobs(number: impl Whole, exact: &bool) -> String {
    let number = number.whole();
    if *exact { count_of(number) } else { human::about(u64::try_from(number).unwrap_or_default()) }
}

/// `104.6 MB`.
#[must_use]
pub fn bytes(number: impl Whole) -> String {
    human::bytes(u64::try_from(number.whole()).unwrap_or_default())
}

/// `4 ms`, `2.1 s`, `3 min`, `5 h`, `8 d`.
#[must_use]
pub fn seconds(seconds: impl Real) -> String {
    match seconds.real() {
        s if !s.is_finite() => "∞".to_owned(),
        s if s < 0.001 => "0 ms".to_owned(),
        // Each goes on to where it would be rounded up to the next one.
        s if s < 0.9995 => format!("{:.0} ms", s * 1_000.0),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3_570.0 => format!("{:.0} min", s / 60.0),
        s if s < 171_000.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// `just now`, `35 s ago`, `12 min ago`.
pub(crate) fn ago(seconds: &usize) -> String {
    match seconds {
        0 => "just now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        _ => format!("{} min ago", seconds / 60),
    }
}

/// How long from one to the other.
#[must_use]
pub fn between(from: impl Moment, to: impl Moment) -> String {
    from.moment()
        .zip(to.moment())
        .map_or_else(String::new, |(from, to)| seconds(to.duration_since(from).as_secs_f64().max(0.0)))
}

/// `12,345` or `0.4`.
#[must_use]
pub fn rate(per_second: impl Real) -> String {
    let per_second = per_second.real();
    if (0.05..10.0).contains(&per_second) { format!("{per_second:.1}") } else { count(per_second.round() as i64) }
}

/// Tries of so many, of a job that stands so: one that has succeeded needed one more than those that failed, and so does one
/// that runs.
pub(crate) fn attempts(state: &gristmill_queue::JobState, runs: &bool, failed: &u32, most: &u32) -> String {
    let made = failed + u32::from(*runs || *state == gristmill_queue::JobState::Completed);
    format!("{made}/{most}")
}

/// `once`, `twice`, `3 times`.
#[must_use]
pub fn times(number: impl Whole) -> String {
    match number.whole() {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", count(number)),
    }
}

/// How an attempt ended: after the last one nothing is tried again.
pub(crate) fn outcome<'a>(outcome: &'a str, attempt: &u32, most: &u32) -> &'a str {
    if outcome == "retried" && attempt >= most { "failed" } else { outcome }
}

/// The share of a whole, in percent from 0 to 100.
#[must_use]
pub fn percent(part: impl Whole, whole: impl Whole) -> i128 {
    let (part, whole) = (part.whole(), whole.whole());
    if whole > 0 { (part * 100 / whole).clamp(0, 100) } else { 0 }
}

/// A text as one part of an address: `a/b` is `a%2Fb`.
#[must_use]
pub fn segment(text: impl AsRef<str>) -> String {
    crate::visit::escaped(text.as_ref())
}

/// The beginning of an id, for tables: the end of one of version 7 is what tells two of a moment apart.
#[must_use]
pub fn short(id: impl ToString) -> String {
    let id = id.to_string();
    match (id.get(..8), id.get(id.len().saturating_sub(6)..)) {
        (Some(head), Some(tail)) if id.len() > 16 => format!("{head}…{tail}"),
        _ => id,
    }
}

/// What a level of a log means for its colour, as [`tone`] has it for states.
pub(crate) fn level(level: &gristmill_queue::LogLevel) -> &'static str {
    use gristmill_queue::LogLevel::{Debug, Error, Info, Trace, Warn};
    match level {
        Error => "bad",
        Warn => "warn",
        Info | Debug | Trace => "calm",
    }
}

/// What a state of the queue's means for its colour, as a class of the stylesheet: `good`, `bad`, `warn`, `live` or `calm`.
#[must_use]
pub fn tone(state: impl ToString) -> &'static str {
    match state.to_string().as_str() {
        "completed" | "done" | "ok" => "good",
        "dead" | "failed" | "failing" | "panicked" | "timed_out" | "lost_worker" => "bad",
        "parked" | "retried" | "paused" | "draining" => "warn",
        "available" | "running" | "open" => "live",
        _ => "calm",
    }
}

/// Anything of a job's, in one line; what is encrypted, by the key that it needs.
#[must_use]
pub fn content(value: &serde_json::Value) -> String {
    gristmill_queue::encryption_key(value)
        .map_or_else(|| value.to_string(), |key| format!("encrypted with key `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_those_that_were_made() {
        use gristmill_queue::JobState::{Available, Completed, Dead};
        let made = [
            (Completed, false, 0),
            (Completed, false, 2),
            (Available, false, 2),
            (Available, true, 2),
            (Dead, false, 8),
        ];
        assert_eq!(
            made.map(|(state, runs, failed)| attempts(&state, &runs, &failed, &8)),
            ["1/8", "3/8", "2/8", "3/8", "8/8"]
        );
        assert_eq!(
            [outcome("retried", &7, &8), outcome("retried", &8, &8), outcome("panicked", &8, &8)],
            ["retried", "failed", "panicked"]
        );
        assert_eq!([times(1_u32), times(2_u32), times(1_204_u32)], ["once", "twice", "1,204 times"]);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(1_100_000), "1,100,000");
        assert_eq!([jobs(12_345_u64, &true), jobs(1_234_567_u64, &false)], ["12,345", "about 1.2 million"]);
        assert_eq!(count(-1_234), "−1,234");
        assert_eq!([bytes(999), bytes(104_600_000)], ["999 B", "104.6 MB"]);
        let times = [0.0042, 2.13, 200.0, 18_000.0, 700_000.0, f64::INFINITY];
        assert_eq!(times.map(seconds).join(" · "), "4 ms · 2.1 s · 3 min · 5 h · 8 d · ∞");
        assert_eq!([0.9996, 59.97, 3_580.0].map(seconds), ["1.0 s", "1 min", "1 h"]);
        assert_eq!([rate(0.0), rate(0.04), rate(0.4), rate(12_345.4)], ["0", "0", "0.4", "12,345"]);
        assert_eq!([percent(1, 3), percent(3, 3), percent(1, 0)], [33, 100, 0]);
    }
}
