//! Numbers and days of cells, as texts that a reader of CSV takes for what they are.

use jiff::{
    ToSpan as _,
    civil::{Date, date},
};

/// Digits that Excel computes with: what stands behind them is an error of binary fractions.
const DIGITS: usize = 15;
/// Powers of ten below which a number is written with an exponent.
const SMALLEST: i32 = -9;
const SECONDS: f64 = 86_400.0;

/// A number as it is meant: 0.1 + 0.2 is `0.3`. One with more whole digits than are exact gets an exponent, so that nothing
/// takes it for an identifier.
pub(crate) fn number(text: &str) -> String {
    if is_short(text) {
        let is_nothing = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
        return if is_nothing { "0" } else { text }.to_owned();
    }
    let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite()) else { return text.to_owned() };
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:.*e}", DIGITS - 1, value.abs());
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = usize::try_from(exponent + 1).unwrap_or_default();
    match exponent {
        _ if exponent >= DIGITS as i32 || exponent < SMALLEST => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}E{exponent:+}")
        }
        0.. if digits.len() <= whole => format!("{sign}{digits:0<whole$}"),
        0.. => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        _ => format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
    }
}

/// As most are: nothing has to be looked at.
fn is_short(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.len() <= DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
        && digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && (digits == "0" || digits.starts_with("0.") || !digits.starts_with('0'))
}

/// A day and time of Excel: whole days since its epoch, which has a 29 February 1900 or is that of 1904. Below one it is a time.
/// `None`: no calendar has it.
pub(crate) fn moment(serial: f64, since_1904: bool) -> Option<String> {
    if !(0.0..3_000_000.0).contains(&serial) {
        return None;
    }
    let (mut days, mut seconds) = (serial.floor(), (serial.fract() * SECONDS).round());
    if seconds >= SECONDS {
        (days, seconds) = (days + 1.0, 0.0);
    }
    let (days, seconds) = (days as i64, seconds as i64);
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let day = match (days, since_1904) {
        (0, false) => return Some(time),
        (_, true) => day(date(1904, 1, 1), days)?,
        // The day that Excel has and 1900 had not.
        (60, false) => "1900-02-29".to_owned(),
        (..60, false) => day(date(1899, 12, 31), days)?,
        (_, false) => day(date(1899, 12, 30), days)?,
    };
    Some(if seconds == 0 { day } else { format!("{day}T{time}") })
}

/// A day with a time, as XML writes it, without a time that is none.
pub(crate) fn without_midnight(text: &str) -> &str {
    let Some((day, time)) = text.split_once('T') else { return text };
    let time = time.strip_suffix('Z').unwrap_or(time);
    let is_midnight = time.starts_with("00:00") && time.bytes().all(|byte| matches!(byte, b'0' | b':' | b'.'));
    if is_midnight { day } else { text }
}

fn day(epoch: Date, days: i64) -> Option<String> {
    epoch.checked_add(days.days()).ok().map(|day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::{moment, number, without_midnight};

    #[test]
    fn a_day_has_no_time() {
        for (text, is) in [
            ("2024-01-31", "2024-01-31"),
            ("2024-01-31T00:00:00", "2024-01-31"),
            ("2024-01-31T00:00:00.000Z", "2024-01-31"),
            ("2024-01-31T00:00:01", "2024-01-31T00:00:01"),
            ("2024-01-31T", "2024-01-31T"),
            ("T", "T"),
        ] {
            assert_eq!(without_midnight(text), is);
        }
    }

    #[test]
    fn numbers_are_what_was_typed() {
        for (text, is) in [
            ("0", "0"),
            ("7", "7"),
            ("-7.5", "-7.5"),
            ("10.50", "10.50"),
            ("0.30000000000000004", "0.3"),
            ("1234.5599999999999", "1234.56"),
            ("123456789012345", "123456789012345"),
            ("1234567890123456", "1.23456789012346E+15"),
            ("12345678909", "12345678909"),
            ("1E3", "1000"),
            ("1.5e2", "150"),
            ("1e15", "1E+15"),
            ("1e-3", "0.001"),
            ("5.0000000000000001E-2", "0.05"),
            ("1e-12", "1E-12"),
            ("-0.0", "0"),
            ("00", "0"),
            ("100000", "100000"),
            ("1.0E+2", "100"),
            ("x", "x"),
            ("", ""),
            ("1e999", "1e999"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(number(text), is, "{text}");
        }
    }

    #[test]
    fn days_are_those_of_excel() {
        for (serial, since_1904, is) in [
            (1.0, false, Some("1900-01-01")),
            (59.0, false, Some("1900-02-28")),
            (60.0, false, Some("1900-02-29")),
            (61.0, false, Some("1900-03-01")),
            (45_657.0, false, Some("2024-12-31")),
            (45_657.75, false, Some("2024-12-31T18:00:00")),
            (45_656.999_999_9, false, Some("2024-12-31")),
            (0.5, false, Some("12:00:00")),
            (0.0, false, Some("00:00:00")),
            (0.0, true, Some("1904-01-01")),
            (44_195.0, true, Some("2024-12-31")),
            (2_958_465.0, false, Some("9999-12-31")),
            (2_958_466.0, false, None),
            (-1.0, false, None),
            (f64::NAN, false, None),
        ] {
            assert_eq!(moment(serial, since_1904).as_deref(), is, "{serial}");
        }
    }
}
