use gristmill_bills::{Currency, Language, Money, dates};
use jiff::civil::date;

use Language::{English, Portuguese, Spanish};

#[test]
fn amounts() {
    for (minor, portuguese, english, spanish) in [
        (124_020, "R$ 1.240,20", "R$1,240.20", "1.240,20 R$"),
        (5, "R$ 0,05", "R$0.05", "0,05 R$"),
        (99_999, "R$ 999,99", "R$999.99", "999,99 R$"),
        (-124_020, "-R$ 1.240,20", "-R$1,240.20", "-1.240,20 R$"),
        (i64::MIN, "-R$ 92.233.720.368.547.758,08", "-R$92,233,720,368,547,758.08", "-92.233.720.368.547.758,08 R$"),
    ] {
        for (language, wanted) in [(Portuguese, portuguese), (English, english), (Spanish, spanish)] {
            assert_eq!(Money::brl(minor).read(language).replace('\u{a0}', " "), wanted);
        }
    }
}

#[test]
fn currencies() {
    let read =
        |code: &str, minor| Money { minor, currency: code.parse().unwrap() }.read(English).replace('\u{a0}', " ");
    assert_eq!(read("EUR", 124_020), "€1,240.20");
    assert_eq!(read("CHF", 124_020), "CHF 1,240.20");
    assert_eq!(read("JPY", 124_020), "JPY 124,020");
    assert_eq!(read("KWD", 124_020), "KWD 124.020");
    for code in ["", "brl", "BR", "BRLX", "R$ "] {
        assert!(code.parse::<Currency>().is_err(), "{code}");
    }
}

#[test]
fn days() {
    for (day, portuguese, english, spanish) in [
        (date(2008, 11, 1), "01/11/2008", "1 Nov 2008", "01/11/2008"),
        (date(2024, 2, 29), "29/02/2024", "29 Feb 2024", "29/02/2024"),
    ] {
        for (language, wanted) in [(Portuguese, portuguese), (English, english), (Spanish, spanish)] {
            assert_eq!(dates::short(day, language), wanted);
        }
    }
    assert_eq!(dates::long(date(2008, 11, 1), Portuguese), "1º de novembro de 2008");
    assert_eq!(dates::long(date(2008, 3, 12), Portuguese), "12 de março de 2008");
    assert_eq!(dates::long(date(2008, 11, 1), English), "1 November 2008");
    assert_eq!(dates::long(date(2008, 9, 1), Spanish), "1 de septiembre de 2008");
}

#[test]
fn languages() {
    for language in Language::ALL {
        assert_eq!(language.tag().parse(), Ok(language));
        assert_eq!(serde_json::to_value(language).unwrap(), language.tag());
    }
    assert!("pt".parse::<Language>().is_err());
}
