//! A client's language and calendar.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{Settings, settings::Checks};

impl Settings {
    /// The client's date of this moment.
    ///
    /// # Errors
    /// When this machine does not know the time zone.
    pub fn date_of(&self, moment: Timestamp) -> Result<Date, jiff::Error> {
        Ok(moment.in_tz(&self.time_zone)?.date())
    }

    /// The moment at which this day is over for the client.
    ///
    /// # Errors
    /// When this machine does not know the time zone.
    pub fn end_of(&self, day: Date) -> Result<Timestamp, jiff::Error> {
        Ok(day.tomorrow()?.in_tz(&self.time_zone)?.timestamp())
    }
}

/// Notes what of language and calendar cannot be.
pub(crate) fn check(settings: &Settings, checks: &mut Checks) {
    let language = ["pt-BR", "en", "es"].contains(&settings.language.as_str());
    checks.require(language, "language", "is none of pt-BR, en, es");
    let time_zone = TimeZone::get(&settings.time_zone).is_ok();
    checks.require(time_zone, "time_zone", "is not in the IANA database, as Europe/Lisbon is");
}
