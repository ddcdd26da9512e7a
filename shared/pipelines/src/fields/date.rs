//! Days and moments, as files and databases write them.

mod ordered;

pub(crate) use ordered::{day_in_order, ordered};

/// Days since 2000-01-01 of `YYYY-MM-DD`, from 0001-01-01 on. A midnight may stand behind it, as databases write it.
pub(crate) fn date(bytes: &[u8]) -> Option<i32> {
    match bytes {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
            let two = |tens: &u8, ones: &u8| Some(10 * digit(*tens)? + digit(*ones)?);
            days_of(100 * two(y1, y2)? + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?)
        }
        _ => before_midnight(bytes),
    }
}

#[cold]
fn before_midnight(bytes: &[u8]) -> Option<i32> {
    let (day, time) = bytes.split_at_checked(10)?;
    let [b'T' | b't' | b' ', time @ ..] = time else { return None };
    clock(time).filter(|clock| clock.micros == 0).and_then(|_| date(day))
}

/// Days since 2000-01-01, if the calendar has the date.
pub fn days_of(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=days).contains(&day) {
        return None;
    }
    // Years that start in March: the leap day is their last. 153 days are five months from March or August on.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    /// 2000-01-01 by the same count.
    const EPOCH: i32 = 1999 * 365 + 1999 / 4 - 1999 / 100 + 1999 / 400 + (153 * 10 + 2) / 5 + 1;
    Some(days - EPOCH)
}

/// A time of day, and how far its clock is ahead of UTC.
pub(crate) struct Clock {
    /// Since midnight; what is finer is cut off.
    pub(crate) micros: i64,
    /// 0 where nothing is said of it.
    pub(crate) offset_minutes: i64,
}

/// `HH:MM`, with seconds and up to nine decimals of them if need be, and then nothing, `Z`, `UTC`, or an offset of the forms
/// `+03`, `+0330` and `+03:30`, with a blank before it if need be.
pub(crate) fn clock(bytes: &[u8]) -> Option<Clock> {
    let [h1, h2, b':', m1, m2, rest @ ..] = bytes else { return None };
    let minutes = below(h1, h2, 24)? * 60 + below(m1, m2, 60)?;
    let (seconds, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (below(s1, s2, 60)?, Some(rest)),
        rest => (0, if rest.first() == Some(&b'.') { None } else { Some(rest) }),
    };
    let (micros, offset) = match rest? {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, offset) = rest.split_at(digits);
            let micros = (0..6).map(|n| fraction.get(n).map_or(0, |digit| i64::from(digit - b'0')));
            ((1..=9).contains(&digits).then(|| micros.fold(0, |sum, digit| sum * 10 + digit))?, offset)
        }
        offset => (0, offset),
    };
    Some(Clock { micros: (minutes * 60 + seconds) * 1_000_000 + micros, offset_minutes: offset_minutes(offset)? })
}

fn offset_minutes(offset: &[u8]) -> Option<i64> {
    let (sign, minutes) = match offset {
        [] | [b'Z' | b'z'] => return Some(0),
        [b' ', rest @ ..] if !rest.is_empty() => return offset_minutes(rest),
        utc if utc.eq_ignore_ascii_case(b"UTC") => return Some(0),
        [sign, h1, h2] => (sign, below(h1, h2, 24)? * 60),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, below(h1, h2, 24)? * 60 + below(m1, m2, 60)?),
        _ => return None,
    };
    match sign {
        b'+' => Some(minutes),
        b'-' => Some(-minutes),
        _ => None,
    }
}

/// Microseconds since 2000-01-01, UTC, of a day and a [`clock`] with a `T` or a blank between them.
pub(crate) fn timestamp(bytes: &[u8]) -> Option<i64> {
    // what other libraries can show in any time zone
    const DAYS: std::ops::RangeInclusive<i32> = -730_000..=2_921_000;
    let (day, time) = bytes.split_at_checked(10)?;
    let [b'T' | b't' | b' ', time @ ..] = time else { return None };
    let Clock { micros, offset_minutes } = clock(time)?;
    let days = date(day).filter(|days| DAYS.contains(days))?;
    Some((i64::from(days) * 86_400 - offset_minutes * 60) * 1_000_000 + micros)
}

fn below(tens: &u8, ones: &u8, below: i64) -> Option<i64> {
    let number = 10 * digit(*tens)? + digit(*ones)?;
    Some(i64::from(number)).filter(|number| *number < below)
}

fn digit(byte: u8) -> Option<i32> {
    byte.is_ascii_digit().then(|| i32::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_of_the_calendar() {
        for (text, days) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("2000-02-29", 59),
            ("2022-10-12", 8320),
            ("0001-01-01", -730_119),
            ("2000-01-01T00:00", 0),
            ("2000-01-01 00:00:00", 0),
            ("2000-01-01T00:00:00Z", 0),
            ("2000-01-01 00:00:00.0000000 +00:00", 0),
            ("2000-01-01T00:00:00.000-03:00", 0),
            ("2000-01-01 00:00:00+00", 0),
            ("2000-01-01 00:00:00 UTC", 0),
        ] {
            assert_eq!(date(text.as_bytes()), Some(days), "{text}");
        }
        for text in [
            "",
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-04-31",
            "2024-01-00",
            "0000-01-01",
            "24-01-19",
            "2024-1-19",
            "2024/01/19",
            "19-01-2024",
            "20240119",
            "2024-01-1x",
            "+024-01-19",
            "2024-01-19T",
            "2024-01-19T00",
            "2024-01-19T00:01",
            "2024-01-19 23:59:59",
            "2024-01-19 00:00:00.001",
            "2024-02-30 00:00:00",
            "2024-01-19 00:00:00x",
            "2024-01-1900:00:00",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn moments_are_those_of_their_offset() {
        let moment = timestamp(b"2024-04-29T02:08:29.375Z").unwrap();
        for text in [
            "2024-04-29 02:08:29.375+00",
            "2024-04-29 02:08:29.375+0000",
            "2024-04-29 02:08:29.375 +00:00",
            "2024-04-29 02:08:29.375 UTC",
            "2024-04-28 23:08:29.375-03",
            "2024-04-28T23:08:29.375-0300",
            "2024-04-29T07:38:29.375000000+05:30",
            "2024-04-29T07:38:29.375+0530",
        ] {
            assert_eq!(timestamp(text.as_bytes()), Some(moment), "{text}");
        }
        assert_eq!(timestamp(b"2024-04-29T02:08"), timestamp(b"2024-04-29T02:08:00Z"));
        assert_eq!(timestamp(b"2024-04-29T02:08-03"), timestamp(b"2024-04-29T05:08:00Z"));
        for text in [
            "2024-04-29",
            "2024-04-29T02",
            "2024-04-29T02:08:29.",
            "2024-04-29T02:08.5",
            "2024-04-29T02:08:29.1234567890",
            "2024-04-29T02:08:29+1",
            "2024-04-29T02:08:29+24",
            "2024-04-29T02:08:29+0160",
            "2024-04-29T02:08:29+01:0",
            "2024-04-29T02:08:29*03",
            "2024-04-29T02:08:29 ",
            "2024-04-29T02:08:29 BRT",
            "2024-04-29T24:00:00",
        ] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
    }
}
