use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::params::Params;

/// From one moment to another; without one, from or to the end of all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

impl Period {
    /// `from` and `to`: moments, or whole days by this time zone.
    pub(super) fn take(query: &mut Params, zone: &str) -> Self {
        let from = query.take_by("from", |text| moment(text, zone, false));
        let to = query.take_by("to", |text| moment(text, zone, true));
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            query.fail("to", "before `from`".to_owned());
        }
        Self { from, to }
    }
}

/// A moment, or where a day begins or ends.
fn moment(text: &str, zone: &str, end: bool) -> Result<Timestamp, String> {
    let wrong = || format!("'{text}' is neither a time like 2026-01-31T09:00:00Z nor a day like 2026-01-31");
    if let Some(day) = day(text) {
        let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
        let first = if end { day.tomorrow().map_err(|_| wrong())? } else { day };
        return first.to_zoned(zone).map(|start| start.timestamp()).map_err(|_| wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// A day and nothing but a day: a time without its zone is no moment.
pub(super) fn day(text: &str) -> Option<Date> {
    (text.len() == "2026-01-31".len()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_by_the_clock_of_their_zone() {
        let at = |text, end| moment(text, "America/Sao_Paulo", end).map(|moment| moment.to_string());
        assert_eq!(at("2026-01-31", false).as_deref(), Ok("2026-01-31T03:00:00Z"));
        assert_eq!(at("2026-01-31", true).as_deref(), Ok("2026-02-01T03:00:00Z"));
        assert_eq!(at("2026-01-31T09:00:00+01:00", true).as_deref(), Ok("2026-01-31T08:00:00Z"));
        for wrong in ["", "2026-01-32", "2026-01-31T09:00:00", "yesterday", "9999-12-31"] {
            assert!(at(wrong, true).unwrap_err().contains("nor a day like"), "{wrong}");
        }
    }
}
