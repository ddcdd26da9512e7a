//! The ticks of a schedule: by its expression or once, in its time zone, within its bounds.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::expression::{CronError, Expression};

/// What stands before the time of a schedule that fires once.
const AT: &str = "@at";

/// All ticks that a schedule has.
#[derive(Debug, Clone)]
pub(crate) struct Ticks {
    moments: Moments,
    zone: TimeZone,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Moments {
    Cron(Expression),
    Once(Timestamp),
}

impl Ticks {
    /// Of a cron expression, or of `@at` and a time: with an offset, or by the clocks of the zone.
    pub(crate) fn of(
        text: &str,
        zone: TimeZone,
        starts_at: Option<Timestamp>,
        ends_at: Option<Timestamp>,
    ) -> Result<Self, CronError> {
        let moments = match once(text, &zone) {
            Some(at) => Moments::Once(at?),
            None => Moments::Cron(Expression::parse(text)?),
        };
        Ok(Self { moments, zone, starts_at, ends_at })
    }

    /// The first one after `after`; none: it is over, or not within 41 years.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // A tick at the start itself counts, and one at the end, too.
        let before_start = self.starts_at.map(|start| start - SignedDuration::from_nanos(1));
        let after = before_start.map_or(after, |start| start.max(after));
        let next = match &self.moments {
            Moments::Cron(expression) => expression.next_after(after, &self.zone)?,
            Moments::Once(at) => Some(*at).filter(|at| *at > after)?,
        };
        Some(next).filter(|next| self.ends_at.is_none_or(|end| *next <= end))
    }

    /// Whether there is no tick because none would ever come, whatever the time.
    pub(crate) fn never_comes(&self) -> bool {
        match &self.moments {
            Moments::Cron(expression) => expression.next_after(Timestamp::UNIX_EPOCH, &self.zone).is_none(),
            Moments::Once(_) => false,
        }
    }

    /// The only one.
    pub(crate) fn once(&self) -> Option<Timestamp> {
        match self.moments {
            Moments::Cron(_) => None,
            Moments::Once(at) => Some(at),
        }
    }
}

/// The time behind `@at`; none: it is another expression.
fn once(text: &str, zone: &TimeZone) -> Option<Result<Timestamp, CronError>> {
    let time = text.trim().strip_prefix(AT)?;
    if !time.starts_with(char::is_whitespace) {
        return None;
    }
    let time = time.trim();
    let wrong = || CronError::Moment { text: time.to_owned() };
    let by_the_zone = || {
        let local: DateTime = time.parse().map_err(|_| wrong())?;
        zone.to_timestamp(local).map_err(|_| wrong())
    };
    let at = time.parse::<Timestamp>().or_else(|_| by_the_zone());
    // As Postgres has it.
    Some(at.and_then(|at| Timestamp::from_microsecond(at.as_microsecond()).map_err(|_| wrong())))
}
