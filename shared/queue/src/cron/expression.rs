//! Reading a cron expression: five fields, or six with the seconds first.

/// What is wrong with a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// Too few fields or too many.
    #[error(
        "`{expression}` has {fields} fields; it takes five (minute hour day month weekday), or six with seconds first"
    )]
    FieldCount {
        /// As given.
        expression: String,
        /// How many it has.
        fields: usize,
    },
    /// An `@word` that is none.
    #[error("`{word}` is not known; there are @yearly, @monthly, @weekly, @daily and @hourly, and @at with a time")]
    UnknownWord {
        /// As given.
        word: String,
    },
    /// What stands behind `@at` is no time.
    #[error(
        "`{text}` is no time: `@at` takes one like 2026-01-31T07:00:00Z, or 2026-01-31T07:00 by the clocks of the zone"
    )]
    Moment {
        /// As given.
        text: String,
    },
    /// A part of a field cannot be read.
    #[error("{field} `{part}`: {reason}")]
    Part {
        /// `second`, `minute`, `hour`, `day`, `month` or `weekday`.
        field: &'static str,
        /// The part of the field, between commas.
        part: String,
        /// Why not.
        reason: String,
    },
    /// Such a day does not come (the 30th of February).
    #[error("`{expression}` never comes")]
    Never {
        /// As given.
        expression: String,
    },
}

/// The local times of a schedule, as sets of bits: bit n stands for the value n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    /// Bit 0 is the last day of the month.
    pub(super) days: u64,
    pub(super) months: u64,
    /// From Sunday, which is 0.
    pub(super) weekdays: u64,
    /// Day and weekday are both named: one of them is enough. Otherwise both must match.
    pub(super) either_day: bool,
    /// The hour field starts with `*`: it follows time as it passes, not the wall clock's hands.
    pub(super) every_hour: bool,
}

struct Field {
    name: &'static str,
    min: u64,
    max: u64,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", min: 0, max: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
const DAY: Field = Field { name: "day", min: 1, max: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 7 is Sunday too.
const WEEKDAY: Field =
    Field { name: "weekday", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

const LAST_DAY: u64 = 1;

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self, CronError> {
        let text = text.trim();
        let plain = if text.starts_with('@') { word(text)? } else { text };
        let fields: Vec<&str> = plain.split_whitespace().collect();
        let [second, minute, hour, day, month, weekday] = match fields[..] {
            [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday],
            [second, minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday],
            _ => return Err(CronError::FieldCount { expression: text.into(), fields: fields.len() }),
        };
        let weekdays = WEEKDAY.parse(weekday)?;
        let named = |field: &str| !field.starts_with(['*', '?']);
        Ok(Self {
            seconds: SECOND.parse(second)?,
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: named(day) && named(weekday),
            every_hour: hour.starts_with('*'),
        })
    }
}

fn word(text: &str) -> Result<&'static str, CronError> {
    Ok(match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return Err(CronError::UnknownWord { word: text.into() }),
    })
}

impl Field {
    /// `*`, `5`, `5-10`, `*/15`, `5-30/5`, `5/15` (from 5 on), several of them with commas.
    fn parse(&self, text: &str) -> Result<u64, CronError> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, part: &str) -> Result<u64, CronError> {
        let wrong = |reason: String| CronError::Part { field: self.name, part: part.into(), reason };
        let is_day = matches!(self.name, "day" | "weekday");
        if self.name == "day" && part.eq_ignore_ascii_case("l") {
            return Ok(LAST_DAY);
        }
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => match step.parse::<u64>() {
                Ok(step) if step > 0 && step <= self.max => (range, Some(step)),
                _ => return Err(wrong(format!("a step is a number from 1 to {}", self.max))),
            },
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (self.value(from).map_err(wrong)?, self.value(to).map_err(wrong)?),
            None if range == "*" || (range == "?" && is_day) => (self.min, self.max),
            None => {
                let value = self.value(range).map_err(wrong)?;
                (value, if step.is_some() { self.max } else { value })
            }
        };
        if from > to {
            return Err(wrong("a range goes from the lower to the higher value".into()));
        }
        Ok((from..=to).step_by(step.unwrap_or(1) as usize).fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u64, String> {
        let named = self.names.iter().zip(self.min..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = named.map(|(_, value)| value).or_else(|| text.parse().ok());
        value.filter(|value| (self.min..=self.max).contains(value)).ok_or_else(|| {
            let names = if self.names.is_empty() { "" } else { ", or its name's first three letters" };
            format!("it takes a number from {} to {}{names}", self.min, self.max)
        })
    }
}
