use jiff::{ToSpan, civil};
use proptest::prelude::*;

use super::{amount, date, email};

#[test]
fn amounts_are_exact_decimals() {
    for (text, hundredths) in [
        ("7811", 781_100),
        ("1000000.00", 100_000_000),
        ("0.01", 1),
        ("19.99", 1999),
        ("19.9", 1990),
        ("0007", 700),
        ("92233720368547758.07", i64::MAX),
    ] {
        assert_eq!(amount(text.as_bytes()), Some(hundredths), "{text}");
    }
    for text in [
        "",
        "0",
        "0.00",
        "-5",
        "+5",
        ".50",
        "5.",
        ".",
        "1.234",
        "1,000",
        "1.000,00",
        "10,50",
        "1 000",
        "R$ 5",
        "1e3",
        "NaN",
        "٣",
        "5.x",
        "92233720368547758.08",
        "99999999999999999999999999",
    ] {
        assert_eq!(amount(text.as_bytes()), None, "{text}");
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
    fn amounts_come_back(hundredths in 1..=i64::MAX) {
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        prop_assert_eq!(amount(text.as_bytes()), Some(hundredths));
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
