//! What the texts of a line mean: money and dates as clinics write them.

use crate::{
    Values,
    fields::{clock, day_in_order, days_of, decimals, trim_bytes, two_readings, within, without_currency},
};

/// An amount in cents: `$` and commas between thousands are allowed, at most two decimals; negative by a `-`, or in
/// parentheses as accountants write it, inside of the `$` or around it. A `-` alone is the accountants' zero. A comma parts
/// thousands and nothing else, so `1,000` has one meaning; `1.000` has two, see [`readings`], and is none. Where the decimal
/// mark is known, they are written with it.
pub(super) fn money(text: &[u8], values: Values) -> Option<i64> {
    if values.decimal.is_some() {
        return match without_currency(text).unwrap_or(text) {
            b"-" => Some(0),
            _ => values.amount(text),
        };
    }
    if trim_bytes(text.strip_prefix(b"$").unwrap_or(text)) == b"-" {
        return Some(0);
    }
    let (mut negative, text) = signed(text);
    let text = match text {
        [b'$', rest @ ..] => {
            let (inner, rest) = signed(trim_bytes(rest));
            if inner && negative {
                return None;
            }
            negative |= inner;
            rest
        }
        text => text,
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (units, behind) = text.split_at(point);
    if behind.len() == 4 && two_readings(text, false).is_some() {
        return None;
    }
    let cents = within(whole(units)?.checked_mul(100)?.checked_add(decimals(behind)?)?)?;
    Some(if negative { -cents } else { cents })
}

/// Both readings of an amount like `$1.000`.
pub(super) fn readings(text: &[u8]) -> Option<(String, String)> {
    let text = trim_bytes(text.strip_prefix(b"$").unwrap_or(text));
    match signed(text) {
        (true, inner) if text.starts_with(b"(") => {
            two_readings(inner, false).map(|(thousands, decimals)| (format!("-{thousands}"), format!("-{decimals}")))
        }
        _ => two_readings(text, false),
    }
}

/// Whether a `-` or parentheses say that what is inside of them is negative.
fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'(', inner @ .., b')'] => (true, trim_bytes(inner)),
        [b'-', rest @ ..] => (true, trim_bytes(rest)),
        text => (false, text),
    }
}

/// A whole number, plain or with a comma before every three digits.
fn whole(text: &[u8]) -> Option<i64> {
    let mut groups = text.split(|byte| *byte == b',');
    let first = groups.next().filter(|first| !first.is_empty())?;
    let mut sum = 0_i64;
    let mut add = |digits: &[u8]| {
        for byte in digits {
            sum = sum.checked_mul(10)?.checked_add(digit(*byte)?)?;
        }
        Some(())
    };
    add(first)?;
    for group in groups {
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        add(group)?;
    }
    Some(sum)
}

/// Days since 2000-01-01 of `M/D/YY`, `M/D/YYYY` or `YYYY-MM-DD`, with or without a time of day, which is checked and
/// left out. `today`: as in [`Options::today`](super::Options::today). Where an order of dates is known, it is that, also with
/// `-` or `.` between the numbers.
pub(super) fn day(text: &[u8], today: Option<i32>, values: Values) -> Option<i32> {
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'T')).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let iso = date.contains(&b'-');
    if let [_, time @ ..] = time {
        let time = time.trim_ascii_start();
        if !(is_time(time) || iso && clock(time).is_some()) {
            return None;
        }
    }
    if let Some(order) = values.dates {
        return day_in_order(date, order, |year| of_two_digits(year, today)).filter(|_| values.has_year(date));
    }
    let mut parts = date.split(|byte| *byte == if iso { b'-' } else { b'/' });
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    match iso {
        true => days_of(number(first, 4..=4)?, number(second, 2..=2)?, number(third, 2..=2)?),
        false => days_of(year(third, today)?, number(first, 1..=2)?, number(second, 1..=2)?),
    }
}

/// 1900-01-01: no year of two digits is read as an earlier one, and no plan pays for what was done before.
pub(super) const EARLIEST: i32 = -36_524;

fn year(text: &[u8], today: Option<i32>) -> Option<i32> {
    match (text.len(), number(text, 2..=4)?) {
        (2, year) => Some(of_two_digits(year, today)),
        (4, year) => Some(year),
        _ => None,
    }
}

fn of_two_digits(year: i32, today: Option<i32>) -> i32 {
    if is_to_come(year, today) { 1900 + year } else { 2000 + year }
}

/// Whether this year of this century begins after today.
fn is_to_come(year: i32, today: Option<i32>) -> bool {
    match today {
        Some(today) => days_of(2000 + year, 1, 1).is_some_and(|first| first > today),
        None => year > 68,
    }
}

/// `H:MM` or `H:MM:SS`, of 24 hours, or of 12 with `AM` or `PM` behind them.
fn is_time(text: &[u8]) -> bool {
    let (clock, half) = match text.len().checked_sub(2).map(|at| text.split_at(at)) {
        Some((clock, half)) if half.eq_ignore_ascii_case(b"am") || half.eq_ignore_ascii_case(b"pm") => {
            (clock.trim_ascii_end(), true)
        }
        _ => (text, false),
    };
    let mut parts = clock.split(|byte| *byte == b':');
    let hours = if half { 1..=12 } else { 0..=23 };
    let hour = parts.next().and_then(|part| number(part, 1..=2)).is_some_and(|hour| hours.contains(&hour));
    let rest: Vec<Option<i32>> = parts.map(|part| number(part, 2..=2).filter(|number| *number < 60)).collect();
    hour && (1..=2).contains(&rest.len()) && rest.iter().all(Option::is_some)
}

fn number(digits: &[u8], length: std::ops::RangeInclusive<usize>) -> Option<i32> {
    if !length.contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| Some(sum * 10 + i32::try_from(digit(*byte)?).ok()?))
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{DateOrder, Decimal, MAX_AMOUNT_MINOR, Values};

    fn money(text: &[u8]) -> Option<i64> {
        super::money(text, Values::UNKNOWN)
    }

    #[test]
    fn money_is_written_with_the_mark_that_is_known() {
        let money =
            |text: &str, decimal| super::money(text.as_bytes(), Values { decimal: Some(decimal), ..Values::UNKNOWN });
        for (text, point, comma) in [
            ("$1,234.50", Some(123_450), None),
            ("$1.234,50", None, Some(123_450)),
            ("1,000", Some(100_000), Some(100)),
            ("$1.000", Some(100), Some(100_000)),
            ("$(5.00)", Some(-500), None),
            ("R$ (5,00)", None, Some(-500)),
            ("-$5", Some(-500), Some(-500)),
            ("-", Some(0), Some(0)),
            ("R$ -", Some(0), Some(0)),
            ("$-", Some(0), Some(0)),
            ("--", None, None),
            ("$", None, None),
        ] {
            assert_eq!((money(text, Decimal::Point), money(text, Decimal::Comma)), (point, comma), "{text}");
        }
    }

    #[test]
    fn days_are_in_the_order_that_is_known() {
        let day =
            |text: &str, order| super::day(text.as_bytes(), None, Values { dates: Some(order), ..Values::UNKNOWN });
        let meant = super::day(b"2018-03-28", None, Values::UNKNOWN);
        for (text, order) in [
            ("28/3/18 0:00", DateOrder::Dmy),
            ("28/03/2018 11:59 PM", DateOrder::Dmy),
            ("28.03.2018", DateOrder::Dmy),
            ("28-3-18", DateOrder::Dmy),
            ("3/28/18 0:00", DateOrder::Mdy),
            ("03-28-2018", DateOrder::Mdy),
            ("18/3/28", DateOrder::Ymd),
            ("2018/03/28", DateOrder::Dmy),
            ("2018-03-28T00:00:00Z", DateOrder::Mdy),
        ] {
            assert_eq!(day(text, order), meant, "{text}");
        }
        for text in ["3/28/18", "28/3/018", "28/3", "28/3/18/1", "28/3/18 24:00", "28/3-18"] {
            assert_eq!(day(text, DateOrder::Dmy), None, "{text}");
        }
        assert_eq!(day("31/12/99", DateOrder::Dmy), super::day(b"1999-12-31", None, Values::UNKNOWN));
    }

    fn day(text: &[u8], today: Option<i32>) -> Option<i32> {
        super::day(text, today, Values::UNKNOWN)
    }

    #[test]
    fn money_is_exact() {
        for (text, cents) in [
            ("$100.00", 10_000),
            ("$16.25", 1_625),
            ("19.99", 1_999),
            ("$1,234,567.8", 123_456_780),
            ("0", 0),
            ("-$5.00", -500),
            ("$-5", -500),
            ("- $5", -500),
            ("($5.00)", -500),
            ("$(5.00)", -500),
            ("$ (1,234.50)", -123_450),
            ("$ ( 5 )", -500),
            ("-", 0),
            ("$-", 0),
            ("$ -", 0),
            ("$\u{a0}-", 0),
            ("$\u{a0}100.00", 10_000),
            ("-\u{a0}5", -500),
            ("(1,000.05)", -100_005),
            ("$9,999,999,999.99", MAX_AMOUNT_MINOR),
            ("$100.0000", 10_000),
            ("$1,000.000", 100_000),
            ("$1,000", 100_000),
            ("0.500", 50),
            ("1234.500", 123_450),
        ] {
            assert_eq!(money(text.as_bytes()), Some(cents), "{text}");
        }
        for text in [
            "",
            "$",
            "--",
            "-$",
            "-$-",
            "()",
            "$()",
            "(-)",
            "($ -)",
            "$(-5)",
            "($(5))",
            "-$(5)",
            "$$1",
            "1.999",
            "1.",
            ".50",
            "1,00",
            "1,0000",
            "1000,000",
            ",100",
            "1,",
            "--1",
            "-(1)",
            "(-1)",
            "($-1)",
            "1e3",
            "€5",
            "5 USD",
            "1 000",
            "10,000,000,000.00",
            "1,000.001",
            "1.000",
            "$100.000",
            "($100.500)",
            "-$1.230",
            "99999999999999999999",
        ] {
            assert_eq!(money(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn money_with_two_readings_is_told_in_both() {
        for (text, thousands, decimals) in [
            ("$1.000", "1000", "1.00"),
            ("($100.500)", "-100500", "-100.50"),
            ("$(1.000)", "-1000", "-1.00"),
            ("-$1.230", "-1230", "-1.23"),
        ] {
            assert_eq!(super::readings(text.as_bytes()), Some((thousands.to_owned(), decimals.to_owned())), "{text}");
        }
        assert_eq!(super::readings(b"1,000"), None);
    }

    #[test]
    fn days_are_of_the_calendar() {
        for (text, days) in [
            ("3/28/18 0:00", 6_661),
            ("03/28/2018", 6_661),
            ("2018-03-28", 6_661),
            ("2018-03-28T00:00:00", 6_661),
            ("2018-03-28T23:59:59Z", 6_661),
            ("2018-03-28 00:00:00.000+00", 6_661),
            ("2018-03-28 00:00:00-0300", 6_661),
            ("3/28/18 11:59:59 pm", 6_661),
            ("1/1/00", 0),
            ("12/31/99", -1),
            ("2/29/2024 23:59", 8_825),
        ] {
            assert_eq!(day(text.as_bytes(), None), Some(days), "{text}");
        }
        for text in [
            "",
            "28/3/18",
            "2/30/18",
            "3/28",
            "3/28/018",
            "3/28/18 24:00",
            "3/28/18 0",
            "3/28/18 13:00 PM",
            "3/28/18 x",
            "2018-3-28",
            "3-28-18",
            "3/28/18/1",
            "3/28/18 0:00+00",
            "2018-03-28 00:00:00+0",
        ] {
            assert_eq!(day(text.as_bytes(), None), None, "{text}");
        }
    }

    #[test]
    fn years_of_two_digits_do_not_begin_in_the_future() {
        let days = |text: &[u8]| day(text, None).unwrap();
        let today = days(b"2026-11-29");
        for (text, meant) in [
            ("1/1/00", "2000-01-01"),
            ("1/1/25", "2025-01-01"),
            ("11/29/26", "2026-11-29"),
            ("12/1/26", "2026-12-01"),
            ("1/1/27", "1927-01-01"),
            ("1/1/30", "1930-01-01"),
            ("1/1/49", "1949-01-01"),
            ("1/1/68", "1968-01-01"),
            ("12/31/99", "1999-12-31"),
            ("1/1/2030", "2030-01-01"),
        ] {
            assert_eq!(day(text.as_bytes(), Some(today)), Some(days(meant.as_bytes())), "{text}");
        }
        assert_eq!(day(b"1/1/27", Some(days(b"2027-01-01"))), Some(days(b"2027-01-01")));
        assert_eq!(day(b"1/1/27", Some(days(b"2026-12-31"))), Some(days(b"1927-01-01")));
    }

    fn with_commas(units: i64) -> String {
        let digits = units.to_string();
        let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
        groups.collect::<Vec<_>>().join(",")
    }

    proptest! {
        #[test]
        fn every_way_to_write_an_amount_is_the_amount(cents in -MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR, commas: bool, dollar: bool, parentheses: bool) {
            let absolute = cents.abs();
            let units = if commas { with_commas(absolute / 100) } else { (absolute / 100).to_string() };
            let text = format!("{}{units}.{:02}", if dollar { "$" } else { "" }, absolute % 100);
            let text = match (cents < 0, parentheses) {
                (false, _) => text,
                (true, true) => format!("({text})"),
                (true, false) => format!("-{text}"),
            };
            prop_assert_eq!(money(text.as_bytes()), Some(cents), "{}", text);
        }

        #[test]
        fn no_text_is_a_panic(text in ".{0,24}") {
            let _ = (money(text.as_bytes()), day(text.as_bytes(), Some(0)));
        }
    }
}
