//! Days as four digits: 1000 is 2000-07-03 and 9999 is 2025-02-21, then 1000 again.

use jiff::{SignedDuration, civil::Date};

/// Factors 1000 to 9999.
const ROUND: i64 = 9000;
const FIRST: Date = jiff::civil::date(2000, 7, 3);
/// Of the second round, the last that has been agreed upon.
const LAST: Date = jiff::civil::date(2049, 10, 13);
/// How long before and after the day of reading a due date may lie. What is left of a round tells apart nothing.
const BACK: i64 = 3000;
const AHEAD: i64 = 5500;

/// `None` for days before the first and after the second round.
pub(super) fn of(due_on: Date) -> Option<u16> {
    if !(FIRST..=LAST).contains(&due_on) {
        return None;
    }
    u16::try_from(1000 + days(FIRST, due_on) % ROUND).ok()
}

/// The day that a factor read on `reference` stands for.
pub(super) fn read(factor: u16, reference: Date) -> Option<Date> {
    if !(1000..=9999).contains(&factor) {
        return None;
    }
    let earliest = days(FIRST, reference) - BACK;
    let ahead = (i64::from(factor) - 1000 - earliest).rem_euclid(ROUND);
    if ahead > BACK + AHEAD || earliest + ahead < 0 {
        return None;
    }
    FIRST.checked_add(SignedDuration::from_hours(24 * (earliest + ahead))).ok()
}

fn days(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}
