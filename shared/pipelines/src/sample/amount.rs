//! What an amount says of its file's decimal mark.

use crate::{
    Decimal,
    fields::{open, signed, written},
};

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// It has no mark, or only such as say nothing: `7811`.
    Bare,
    /// The decimal mark is a point: `10.50`.
    Point,
    /// The same, as kinds do not read it by their own rule: `1,234.56`, `R$ 10.50`.
    Thousands,
    /// The decimal mark is a comma: `10,50`, `1.234,56`.
    Comma,
    /// Its mark parts thousands or decimals: `1.234`, `1,234`.
    Open,
    /// It is no amount.
    None,
}

pub(super) fn read(text: &[u8]) -> Amount {
    if text.iter().all(u8::is_ascii_digit) {
        return Amount::Bare;
    }
    match (written(text, Decimal::Point), written(text, Decimal::Comma)) {
        (None, None) => Amount::None,
        _ if open(text).is_some() => Amount::Open,
        (Some(_), Some(_)) => Amount::Bare,
        (Some(_), None) if signed(text).is_some() => Amount::Point,
        (Some(_), None) => Amount::Thousands,
        (None, Some(_)) => Amount::Comma,
    }
}

/// The decimal mark of a text that can have no other one, and three digits behind it.
pub(super) fn third(text: &[u8]) -> Option<Decimal> {
    let last = text.iter().rposition(u8::is_ascii_digit)?;
    let mark = Decimal::ALL.iter().copied().find(|mark| last >= 4 && text[last - 3] == mark.mark())?;
    (written(text, mark).is_some() && written(text, mark.other()).is_none()).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_say_what_their_marks_are() {
        for (text, says) in [
            ("7811", Amount::Bare),
            ("-5", Amount::Bare),
            ("R$ 10", Amount::Bare),
            ("1 234", Amount::Bare),
            ("10.50", Amount::Point),
            ("10.5", Amount::Point),
            ("0.500", Amount::Point),
            ("1234.500", Amount::Point),
            ("-10.50", Amount::Point),
            ("1,234.56", Amount::Thousands),
            ("1,234,567", Amount::Thousands),
            ("1'234.5", Amount::Thousands),
            ("R$ 10.50", Amount::Thousands),
            ("10,50", Amount::Comma),
            ("0,500", Amount::Comma),
            ("1.234,56", Amount::Comma),
            ("1.234.567", Amount::Comma),
            ("1 234,56", Amount::Comma),
            ("1\u{a0}234,56", Amount::Comma),
            ("(R$ 5,00)", Amount::Comma),
            ("1.234", Amount::Open),
            ("1,234", Amount::Open),
            ("10.500", Amount::Open),
            ("999.990", Amount::Open),
            ("-R$ 1.234", Amount::Open),
            ("(1,000)", Amount::Open),
            ("", Amount::Bare),
            ("1e3", Amount::None),
            ("1,23,456.00", Amount::None),
            ("1.23.4", Amount::None),
            ("10%", Amount::None),
            ("#REF!", Amount::None),
            ("\u{661}\u{660}", Amount::None),
            ("debtAmount", Amount::None),
            ("99999999999999.99", Amount::None),
        ] {
            assert_eq!(read(text.as_bytes()), says, "{text}");
        }
        for (text, mark) in [
            ("0.500", Some(Decimal::Point)),
            ("R$ 1,234.500", Some(Decimal::Point)),
            ("1.234,500", Some(Decimal::Comma)),
            ("1.500", None),
            ("10.50", None),
            ("1.234.567", None),
            ("1.234,567", None),
            ("5", None),
        ] {
            assert_eq!(third(text.as_bytes()), mark, "{text}");
        }
        assert_eq!(open(b"R$ 12.345"), Some(("12", Decimal::Point, "345")));
        assert_eq!(open(b"12,345.00"), None);
    }
}
