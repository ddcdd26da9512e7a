use jiff::{ToSpan, civil};
use proptest::prelude::*;

use super::{Field, MAX_AMOUNT_MINOR, date::date};
use crate::{DateOrder, Decimal, ReasonCode, Values};

fn field(bytes: &[u8]) -> Field<'_> {
    Field { column: "x", bytes, plain: bytes.is_ascii(), values: Values::default() }
}

fn written(text: &str, decimal: Decimal) -> Field<'_> {
    Field { values: Values { decimal: Some(decimal), ..Values::UNKNOWN }, ..field(text.as_bytes()) }
}

fn ordered(text: &str, order: DateOrder) -> Field<'_> {
    Field { values: Values { dates: Some(order), ..Values::UNKNOWN }, ..field(text.as_bytes()) }
}

#[test]
fn amounts_of_debts_are_positive() {
    for (text, hundredths) in [("7811", 781_100), ("+12.99", 1299), ("9999999999.99", MAX_AMOUNT_MINOR)] {
        assert_eq!(field(text.as_bytes()).amount(), Ok(hundredths), "{text}");
        assert_eq!(field(text.as_bytes()).signed_amount(), Ok(hundredths), "{text}");
    }
    for text in ["0", "0.00", "-5", "++5", "+-5", "R$", "R$ 5,5", "NaN", "10000000000"] {
        assert_eq!(field(text.as_bytes()).amount().unwrap_err().code, ReasonCode::BadAmount, "{text}");
    }
    for text in ["-10000000000", "--5", "+-5", "-"] {
        assert_eq!(field(text.as_bytes()).signed_amount().unwrap_err().code, ReasonCode::BadAmount, "{text}");
    }
}

#[test]
fn what_was_found_leaves_open_what_it_does_not_show() {
    let found = |text: &'static str, decimal| {
        let values = Values { decimal: Some(decimal), two_decimals: true, ..Values::UNKNOWN };
        Field { values, ..field(text.as_bytes()) }
    };
    for (text, decimal, readings) in [
        ("1.500", Decimal::Point, "write 1500 or 1.50,"),
        ("R$ 10.500", Decimal::Point, "write 10500 or 10.50,"),
        ("(1,500)", Decimal::Comma, "write -1500 or -1,50,"),
        ("250,000 €", Decimal::Comma, "write 250000 or 250,00,"),
    ] {
        for fault in [found(text, decimal).amount().unwrap_err(), found(text, decimal).signed_amount().unwrap_err()] {
            assert!(fault.code == ReasonCode::BadAmount && fault.message.contains(readings), "{}", fault.message);
        }
        assert!(written(text, decimal).signed_amount().is_ok(), "{text}: it was said");
    }
    for (text, decimal, minor) in [
        ("1,500", Decimal::Point, 150_000),
        ("1.500", Decimal::Comma, 150_000),
        ("1,234.500", Decimal::Point, 123_450),
        ("0,500", Decimal::Comma, 50),
        ("10.5000", Decimal::Point, 1050),
        ("10.50", Decimal::Point, 1050),
    ] {
        assert_eq!(found(text, decimal).amount(), Ok(minor), "{text}");
    }
    let found = Values { dates: Some(DateOrder::Ymd), long_years: true, ..Values::UNKNOWN };
    let day = |text: &'static str| Field { values: found, ..field(text.as_bytes()) }.date().ok();
    assert_eq!((day("2010/11/12"), day("10/11/12")), (date(b"2010-11-12"), None));
    assert_eq!(ordered("10/11/12", DateOrder::Ymd).date().ok(), date(b"2010-11-12"));
}

#[test]
fn amounts_with_two_readings_are_asked_about() {
    for (text, readings) in [("1.000", "1000 or 1.00"), ("+10.500", "10500 or 10.50"), ("250,000", "250000 or 250.00")]
    {
        for fault in [field(text.as_bytes()).amount().unwrap_err(), field(text.as_bytes()).signed_amount().unwrap_err()]
        {
            let wanted = format!(
                "x is {text:?}, expected an amount that reads in one way only: write {readings}, whichever is meant"
            );
            assert_eq!((fault.code, fault.message), (ReasonCode::BadAmount, wanted));
        }
    }
    let fault = field(b"-1.000").signed_amount().unwrap_err();
    assert!(fault.message.contains("write -1000 or -1.00"), "{}", fault.message);
}

proptest! {
    #[test]
    fn an_amount_means_one_thing(units in 1..1_000_i64, behind in 0..100_u8, zeros in 0..6_usize) {
        let text = format!("{units}.{behind:02}{}", "0".repeat(zeros));
        let meant = (zeros != 1).then_some(units * 100 + i64::from(behind));
        prop_assert_eq!(field(text.as_bytes()).amount().ok(), meant);
    }

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

/// One to three digits, a mark, three digits: what they are depends on the mark alone.
fn is_open(number: &str) -> bool {
    let parts: Vec<&str> = number.split(['.', ',']).collect();
    matches!(parts[..], [units, behind] if units.len() <= 3 && behind.len() == 3)
}

proptest! {
    #[test]
    fn amounts_come_back_however_they_are_written(
        hundredths in prop_oneof![-999_999..=999_999_i64, -MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR],
        decimal in prop::sample::select(Decimal::ALL),
        gap in prop::sample::select(vec![None, Some(""), Some(" "), Some("\u{a0}"), Some("\u{202f}"), Some("'")]),
        zeros in prop::option::of(0..4_usize),
        currency in prop::sample::select(vec!["", "R$ ", "R$", "\u{20ac}\u{a0}", "US$"]),
        parentheses: bool,
    ) {
        let (units, behind) = (hundredths.abs() / 100, hundredths.abs() % 100);
        let (mark, thousands) = match decimal {
            Decimal::Point => (".", ","),
            Decimal::Comma => (",", "."),
        };
        let mut number = units.to_string();
        // `None`: no groups
        if let Some(gap) = gap {
            let gap = if gap.is_empty() { thousands } else { gap };
            let groups: Vec<&str> =
                number.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
            number = groups.join(gap);
        }
        if behind > 0 || zeros.is_some() {
            number = format!("{number}{mark}{behind:02}{}", "0".repeat(zeros.unwrap_or(0)));
        }
        let text = match (hundredths < 0, parentheses) {
            (false, _) => format!("{currency}{number}"),
            (true, false) => format!("{currency}-{number}"),
            (true, true) => format!("({currency}{number})"),
        };
        prop_assert_eq!(written(&text, decimal).signed_amount().ok(), Some(hundredths), "{}", text);
        prop_assert_eq!(written(&text, decimal).amount().ok(), Some(hundredths).filter(|amount| *amount > 0), "{}", text);
        let other = Decimal::ALL.iter().find(|other| **other != decimal).unwrap();
        let read = written(&text, *other).signed_amount().ok();
        prop_assert!(read.is_none_or(|read| read == hundredths) || is_open(&number), "{} is read as {:?}", text, read);
        let unsaid = field(text.as_bytes()).signed_amount().ok();
        prop_assert!(unsaid.is_none_or(|read| read == hundredths), "{} is read as {:?}", text, unsaid);
    }

    #[test]
    fn what_is_read_without_a_mark_is_read_so_with_a_point(text in "[+-]?[0-9]{0,5}[.,]?[0-9]{0,4}") {
        if let Ok(amount) = field(text.as_bytes()).signed_amount() {
            prop_assert_eq!(written(&text, Decimal::Point).signed_amount(), Ok(amount), "{}", text);
        }
    }

    #[test]
    fn days_come_back_in_every_order(
        days in -730_119..2_921_939_i32,
        order in prop::sample::select(DateOrder::ALL),
        mark in prop::sample::select(vec!['/', '-', '.']),
        midnight in prop::sample::select(vec!["", " 00:00:00", "T00:00:00Z", " 0:00"]),
    ) {
        let day = civil::date(2000, 1, 1).checked_add(days.days()).unwrap();
        let (y, m, d) = (day.year(), day.month(), day.day());
        let text = match order {
            DateOrder::Ymd => format!("{y:04}{mark}{m:02}{mark}{d:02}{midnight}"),
            DateOrder::Dmy => format!("{d:02}{mark}{m:02}{mark}{y:04}{midnight}"),
            DateOrder::Mdy => format!("{m}{mark}{d}{mark}{y:04}{midnight}"),
        };
        prop_assert_eq!(ordered(&text, order).date(), Ok(days), "{}", text);
        for &other in DateOrder::ALL {
            let read = ordered(&text, other).date().ok();
            prop_assert!(read.is_none_or(|read| read == days) || d <= 12, "{} is read as {:?}", text, read);
        }
        let iso = format!("{y:04}-{m:02}-{d:02}{}", midnight.replace(" 0:00", ""));
        prop_assert_eq!(ordered(&iso, order).date(), field(iso.as_bytes()).date(), "{}", iso);
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,16}", digits in "[-+(R$ ]{0,3}[0-9.,' ]{0,14}[)/0-9]{0,3}") {
        for text in [text, digits] {
            for &decimal in Decimal::ALL {
                let _ = written(&text, decimal).signed_amount();
            }
            for &order in DateOrder::ALL {
                let _ = ordered(&text, order).date();
            }
        }
    }
}

#[test]
fn what_is_expected_is_said_in_the_ways_of_the_file() {
    let said = written("10.50", Decimal::Comma).amount().unwrap_err().message;
    assert!(said.contains("after a comma, as the other amounts of the file, like 7811 or 1.000,50"), "{said}");
    let said = written("-1.000", Decimal::Comma).amount().unwrap_err().message;
    assert!(said.contains("greater than 0 and up to 9.999.999.999,99"), "it has one reading: {said}");
    let said = written("10,50", Decimal::Point).signed_amount().unwrap_err().message;
    assert!(said.contains("after a point, as the other amounts of the file, like 12.99 or -1,000.50"), "{said}");
    let fault = ordered("12/31/2024", DateOrder::Dmy).date().unwrap_err();
    assert_eq!(fault.code, ReasonCode::BadDate);
    assert!(
        fault.message.ends_with("as the other dates of the file, DD/MM/YYYY, like 19/01/2024"),
        "{}",
        fault.message
    );
}

#[test]
fn currencies_are_three_letters() {
    assert_eq!(field(b"BRL").currency(), Ok(*b"BRL"));
    assert_eq!(field(b"brl").currency(), Ok(*b"BRL"));
    for text in ["R$", "BR", "BRLX", "B1L", "çRL"] {
        assert_eq!(field(text.as_bytes()).currency().unwrap_err().code, ReasonCode::BadCurrency, "{text}");
    }
}

#[test]
fn what_was_lost_is_said() {
    let fault = field(b"3.73E+09").identifier(64, ReasonCode::BadId).unwrap_err();
    assert_eq!(fault.code, ReasonCode::BadId);
    assert!(fault.message.starts_with("x is \"3.73E+09\": a spreadsheet has shortened it"), "{}", fault.message);
    assert_eq!(field(b"3730189502").identifier(64, ReasonCode::BadId), Ok(&b"3730189502"[..]));
    let fault = field("ana\u{200b}@example.com".as_bytes()).email().unwrap_err();
    assert_eq!(fault.message, r#"x is "ana\u{200b}@example.com", expected an address like name@example.com"#);
}
