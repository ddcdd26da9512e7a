use jiff::{ToSpan, civil};
use proptest::prelude::*;

use super::{Field, MAX_AMOUNT_MINOR, date::date};
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
