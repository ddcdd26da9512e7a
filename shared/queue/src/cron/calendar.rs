//! When a schedule fires.
//!
//! A time zone's clocks jump: a local time may not exist, or exist twice. The rule, as crontabs have it:
//! - An hour field that starts with `*` follows time as it passes. It fires in both of two equal hours, and there is
//!   nothing to fire in an hour that does not exist.
//! - An hour that is named (`30 2 * * *`) comes once a day. What falls into the missing hour fires together, once, at the
//!   moment of the jump; of two equal hours the first one counts.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use super::expression::Expression;

/// February 29th on a given weekday is at most 40 years away.
const HORIZON_YEARS: i16 = 41;

impl Expression {
    /// The first time after `after` that this schedule fires. None: not within 41 years.
    pub(crate) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.every_hour { self.next_by_time(after, zone) } else { self.next_by_hands(after, zone) }
    }

    /// Piece by piece between the changes of the zone's offset.
    fn next_by_time(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut offset = zone.to_offset(after);
        let mut from = next_second(offset.to_datetime(after))?;
        let mut changes = zone.following(after);
        loop {
            let found = offset.to_timestamp(self.first_from(from)?).ok()?;
            match changes.next() {
                Some(change) if change.timestamp() <= found => {
                    offset = change.offset();
                    from = offset.to_datetime(change.timestamp());
                }
                _ => return Some(found),
            }
        }
    }

    /// Local times in their order: the instants they stand for are in the same order.
    fn next_by_hands(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = next_second(zone.to_datetime(after))?;
        loop {
            let found = self.first_from(from)?;
            let instant = once(found, zone)?;
            if instant > after {
                return Some(instant);
            }
            from = next_second(found)?;
        }
    }

    /// The first local time of this schedule that is not before `from`.
    fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let last_year = from.year().saturating_add(HORIZON_YEARS);
        let (mut date, mut time) = (from.date(), from.time());
        while date.year() <= last_year {
            if self.months >> date.month() & 1 == 0 {
                date = date.first_of_month().checked_add(1.month()).ok()?;
            } else if let Some(time) = self.time_from(time).filter(|_| self.has_day(date)) {
                return Some(date.to_datetime(time));
            } else {
                date = date.tomorrow().ok()?;
            }
            time = Time::midnight();
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let day = self.days >> date.day() & 1 == 1 || (self.days & 1 == 1 && date == date.last_of_month());
        let weekday = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        if self.either_day { day || weekday } else { day && weekday }
    }

    fn time_from(&self, time: Time) -> Option<Time> {
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = bit_from(self.seconds, second)
            {
                return Time::new(hour, minute, second, 0).ok();
            }
            if let Some(minute) = bit_from(self.minutes, minute + 1) {
                return Time::new(hour, minute, bit_from(self.seconds, 0)?, 0).ok();
            }
        }
        let hour = bit_from(self.hours, hour + 1)?;
        Time::new(hour, bit_from(self.minutes, 0)?, bit_from(self.seconds, 0)?, 0).ok()
    }
}

/// The one instant of a local time.
fn once(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // By the later offset this is an instant shortly before the jump.
            let before_jump = after.to_timestamp(local).ok()?;
            Some(zone.following(before_jump).next()?.timestamp())
        }
    }
}

fn next_second(local: DateTime) -> Option<DateTime> {
    let time = local.time();
    let second = Time::new(time.hour(), time.minute(), time.second(), 0).ok()?;
    local.date().to_datetime(second).checked_add(1.second()).ok()
}

fn has(set: u64, value: i8) -> bool {
    set >> value & 1 == 1
}

/// The lowest value of the set from `from` on.
fn bit_from(set: u64, from: i8) -> Option<i8> {
    let rest = set >> from << from;
    (rest != 0).then(|| rest.trailing_zeros() as i8)
}
