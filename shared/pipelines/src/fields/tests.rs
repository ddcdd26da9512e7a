use jiff::{ToSpan, civil};
use proptest::prelude::*;

use super::{Field, MAX_AMOUNT_MINOR, date, email};
use crate::ReasonCode;

fn field(bytes: &[u8]) -> Field<'_> {
    Field { column: "x", bytes, plain: bytes.is_ascii() }
}

#[test]
fn amounts_of_debts_are_positive() {
    for (text, hundredths) in [("7811", 781_100), ("+12.99", 1299), ("9999999999.99", MAX_AMOUNT_MINOR)] {
        assert_eq!(field(text.as_bytes()).amount(), Ok(hundredths), "{text}");
        assert_eq!(field(text.as_bytes()).signed_amount(), Ok(hundredths), "{text}");
    }
    for text in ["0", "0.00", "-5", "++5", "+-5", "R$ 5", "NaN", "10000000000"] {
        assert_eq!(field(text.as_bytes()).amount().unwrap_err().code, ReasonCode::BadAmount, "{text}");
    }
    for text in ["-10000000000", "--5", "+-5", "-"] {
        assert_eq!(field(text.as_bytes()).signed_amount().unwrap_err().code, ReasonCode::BadAmount, "{text}");
    }
}

#[test]
fn dates_are_of_the_calendar() {
    for (text, days) in
        [("2000-01-01", 0), ("1999-12-31", -1), ("2000-02-29", 59), ("2022-10-12", 8320), ("0001-01-01", -730_119)]
    {
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
        "2024-01-19T00:00",
        "2024-01-1x",
        "+024-01-19",
    ] {
        assert_eq!(date(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn every_day_is_counted_as_jiff_counts_it(days in -730_119..2_921_939_i32) {
        let day = civil::date(2000, 1, 1).checked_add(days.days()).unwrap();
        prop_assert_eq!(date(day.to_string().as_bytes()), Some(days));
    }

    #[test]
    fn dates_are_those_that_jiff_knows(year in 1..=9999_i16, month in 0..15_i8, day in 0..35_i8) {
        let known = civil::Date::new(year, month, day).is_ok();
        prop_assert_eq!(date(format!("{year:04}-{month:02}-{day:02}").as_bytes()).is_some(), known);
    }

    #[test]
    fn amounts_come_back(hundredths in 1..=MAX_AMOUNT_MINOR) {
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        prop_assert_eq!(field(text.as_bytes()).amount(), Ok(hundredths));
    }
}

#[test]
fn emails() {
    for text in ["janet95@example.com", "a@b.c", "josé@exämple.com.br", "x+y=z@sub.example.org", "o'neil@example.com"]
    {
        assert!(email(text.as_bytes()), "{text}");
    }
    for text in [
        "",
        "@",
        "a@",
        "@b.c",
        "a@b",
        "a@@b.c",
        "a@b@c.d",
        "a b@c.d",
        "a@b .c",
        "a@b..c",
        "a@.b.c",
        "a@b.c.",
        "a\t@b.c",
        "a@b.c\u{7f}",
        "a\u{a0}b@c.d",
        "ü\u{85}@c.d",
    ] {
        assert!(!email(text.as_bytes()), "{text:?}");
    }
}
