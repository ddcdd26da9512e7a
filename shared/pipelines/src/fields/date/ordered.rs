//! Dates as people write them, in a file in which the order of their parts is known.

use super::{clock, days_of, digit};
use crate::{DateOrder, Values};

/// Days since 2000-01-01. A midnight may stand behind the date; a year of two digits is one of this century.
#[cold]
pub(crate) fn ordered(text: &[u8], order: DateOrder) -> Option<i32> {
    let (date, time) = text.split_at(text.iter().position(|byte| matches!(byte, b' ' | b'T')).unwrap_or(text.len()));
    match time {
        [] => {}
        [_, time @ ..] if is_midnight(time.trim_ascii_start()) => {}
        _ => return None,
    }
    day_in_order(date, order, |year| 2000 + year)
}

impl Values {
    /// Whether a date whose order is known may have its year: one of two digits has no meaning where the order was found by
    /// longer ones.
    pub(crate) fn has_year(self, date: &[u8]) -> bool {
        !self.long_years || date.iter().take_while(|byte| byte.is_ascii_digit()).count() == 4
    }
}

fn is_midnight(time: &[u8]) -> bool {
    const MIDNIGHTS: [&str; 4] = ["0:00", "0:00:00", "12:00 AM", "12:00:00 AM"];
    MIDNIGHTS.iter().any(|midnight| time.eq_ignore_ascii_case(midnight.as_bytes()))
        || clock(time).is_some_and(|clock| clock.micros == 0)
}

/// Days since 2000-01-01 of three numbers with `/`, `-` or `.` between them. A year of four digits may stand first in any
/// order; `year`: the one that two digits are.
pub(crate) fn day_in_order(text: &[u8], order: DateOrder, year: impl FnOnce(i32) -> i32) -> Option<i32> {
    let mark = *text.iter().find(|byte| matches!(byte, b'/' | b'-' | b'.'))?;
    let mut parts = text.split(|byte| *byte == mark);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (years, month, day) = match order {
        _ if first.len() == 4 => (first, second, third),
        DateOrder::Ymd => (first, second, third),
        DateOrder::Dmy => (third, second, first),
        DateOrder::Mdy => (third, first, second),
    };
    let years = match (years.len(), number(years)?) {
        (4, years) => years,
        (2, years) => year(years),
        _ => return None,
    };
    let one_or_two = |digits: &[u8]| number(digits).filter(|_| digits.len() <= 2);
    days_of(years, one_or_two(month)?, one_or_two(day)?)
}

/// Of one to four digits.
fn number(digits: &[u8]) -> Option<i32> {
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| Some(sum * 10 + digit(*byte)?))
}

#[cfg(test)]
mod tests {
    use super::ordered;
    use crate::{DateOrder, fields::date};

    #[test]
    fn dates_are_read_in_their_order() {
        let day = |text: &str, order| ordered(text.as_bytes(), order);
        let meant = date(b"2024-12-31");
        for (text, order) in [
            ("31/12/2024", DateOrder::Dmy),
            ("31-12-2024", DateOrder::Dmy),
            ("31.12.2024", DateOrder::Dmy),
            ("31/12/24", DateOrder::Dmy),
            ("31/12/2024 00:00", DateOrder::Dmy),
            ("31/12/2024 0:00:00", DateOrder::Dmy),
            ("12/31/2024", DateOrder::Mdy),
            ("12/31/2024 12:00:00 AM", DateOrder::Mdy),
            ("2024/12/31", DateOrder::Ymd),
            ("2024/12/31", DateOrder::Dmy),
            ("2024.12.31T00:00:00Z", DateOrder::Mdy),
            ("24-12-31", DateOrder::Ymd),
        ] {
            assert_eq!(day(text, order), meant, "{text}");
        }
        assert_eq!(day("1/2/2024", DateOrder::Dmy), date(b"2024-02-01"));
        assert_eq!(day("1/2/2024", DateOrder::Mdy), date(b"2024-01-02"));
        for text in [
            "",
            "/",
            "//",
            "12/31/2024",
            "31/12",
            "31/12/2024/1",
            "31/12-2024",
            "31/12/024",
            "031/12/2024",
            "29/02/2023",
            "31/12/2024 10:00",
            "31/12/2024 x",
            "31/12/2024x",
            "3112/2024",
            "31122024",
            "45657",
            "31/Dec/2024",
            "-1/12/2024",
            "\u{661}/12/2024",
        ] {
            assert_eq!(day(text, DateOrder::Dmy), None, "{text}");
        }
    }
}
