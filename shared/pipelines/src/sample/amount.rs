//! What an amount says of its file's decimal mark.

use crate::{
    Decimal,
    fields::{signed, written},
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

/// Both sides of the one mark of a text that has one to three digits before it and three behind; and the mark.
pub(super) fn open(text: &[u8]) -> Option<(&str, Decimal, &str)> {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let (from, to) = (text.iter().position(digit)?, text.iter().rposition(digit)?);
    let number = std::str::from_utf8(&text[from..=to]).ok()?;
    let at = number.find(['.', ','])?;
    let (units, rest) = number.split_at(at);
    let mark = if rest.starts_with(',') { Decimal::Comma } else { Decimal::Point };
    let behind = &rest[1..];
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is = (1..=3).contains(&units.len()) && behind.len() == 3 && digits(units) && digits(behind);
    (is && !units.starts_with('0')).then_some((units, mark, behind))
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
        assert_eq!(open(b"R$ 12.345"), Some(("12", Decimal::Point, "345")));
        assert_eq!(open(b"12,345.00"), None);
    }
}
