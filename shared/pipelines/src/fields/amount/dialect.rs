//! Amounts as people write them, in a file whose decimal mark is known.

use memchr::memrchr;

use super::{super::trim_bytes, digit, within};
use crate::{Decimal, Values};

/// What may stand at one end of an amount, with or without blanks between.
const CURRENCIES: &[&str] = &["R$", "US$", "$", "€", "BRL", "USD", "EUR"];
/// What may part thousands beside the mark that is not the decimal one: a blank, a no-break one, the narrow and the thin
/// one, and apostrophes.
const GAPS: &[&str] = &[" ", "\u{a0}", "\u{202f}", "\u{2009}", "'", "\u{2019}"];

/// An amount of any sign, in hundredths: negative by a `-`, or in parentheses; a currency may stand at its beginning or end.
pub(crate) fn written(text: &[u8], decimal: Decimal) -> Option<i64> {
    number(text, decimal).or_else(|| with_signs(text, decimal))
}

/// An amount that is the same with either mark, in hundredths: a whole one with a currency, or with blanks between its thousands.
#[cold]
pub(crate) fn in_one_way(text: &[u8]) -> Option<i64> {
    let amount = written(text, Decimal::Point)?;
    (written(text, Decimal::Comma)? == amount).then_some(amount)
}

/// The text without its currency.
pub(crate) fn without_currency(text: &[u8]) -> Option<&[u8]> {
    CURRENCIES
        .iter()
        .map(|currency| currency.as_bytes())
        .find_map(|currency| text.strip_prefix(currency).or_else(|| text.strip_suffix(currency)).map(trim_bytes))
}

impl Values {
    /// An amount whose decimal mark is known, in hundredths.
    pub(crate) fn amount(self, text: &[u8]) -> Option<i64> {
        written(text, self.decimal?).filter(|_| self.readings(text).is_none())
    }

    /// Both readings of an amount that has two, its decimal mark known: one with three digits behind it, the last a zero, in
    /// a file in which nothing else has them.
    pub(crate) fn readings(self, text: &[u8]) -> Option<(String, String)> {
        let decimal = self.decimal.filter(|_| self.two_decimals)?;
        let last = text.iter().rposition(u8::is_ascii_digit)?;
        if text[last] != b'0' || last < 4 || text[last - 3] != decimal.mark() {
            return None;
        }
        let (units, mark, behind) = open(text).filter(|(_, mark, _)| *mark == decimal)?;
        let sign = if written(text, decimal)? < 0 { "-" } else { "" };
        let mark = char::from(mark.mark());
        Some((format!("{sign}{units}{behind}"), format!("{sign}{units}{mark}{}", &behind[..2])))
    }
}

/// Both sides of the one mark of a text that has one to three digits before it and three behind; and the mark.
pub(crate) fn open(text: &[u8]) -> Option<(&str, Decimal, &str)> {
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

#[cold]
fn with_signs(text: &[u8], decimal: Decimal) -> Option<i64> {
    let (mut rest, mut sign, mut currency) = (text, None, false);
    loop {
        rest = match rest {
            [b'(', inner @ .., b')'] if sign.is_none() => {
                sign = Some(-1);
                trim_bytes(inner)
            }
            [mark @ (b'-' | b'+'), rest @ ..] if sign.is_none() => {
                sign = Some(if *mark == b'-' { -1 } else { 1 });
                trim_bytes(rest)
            }
            marked => match without_currency(marked) {
                Some(rest) if !currency => {
                    currency = true;
                    rest
                }
                _ => break,
            },
        };
    }
    Some(sign.unwrap_or(1) * number(rest, decimal)?)
}

/// Digits, plain or in groups of three, then nothing or the mark and decimals, of which those beyond the second are zeros.
fn number(text: &[u8], decimal: Decimal) -> Option<i64> {
    let mark = decimal.mark();
    let (units, hundredths) = match text {
        [units @ .., before, tenths, hundredths] if *before == mark => {
            (units, 10 * digit(*tenths)? + digit(*hundredths)?)
        }
        text => match memrchr(mark, text) {
            None => (text, 0),
            Some(at) => (&text[..at], hundredths(&text[at + 1..])?),
        },
    };
    within(whole(units, decimal)?.checked_mul(100)?.checked_add(hundredths)?)
}

fn hundredths(decimals: &[u8]) -> Option<i64> {
    match decimals {
        [tenths] => Some(10 * digit(*tenths)?),
        [tenths, hundredths, rest @ ..] if rest.iter().all(|byte| *byte == b'0') => {
            Some(10 * digit(*tenths)? + digit(*hundredths)?)
        }
        _ => None,
    }
}

fn whole(units: &[u8], decimal: Decimal) -> Option<i64> {
    let (first, mut rest) = units.split_at(units.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let add = |sum: i64, digits: &[u8]| {
        digits.iter().try_fold(sum, |sum, byte| sum.checked_mul(10)?.checked_add(digit(*byte)?))
    };
    let mut sum = add(0, first).filter(|_| !first.is_empty())?;
    if rest.is_empty() {
        return Some(sum);
    }
    if first.len() > 3 || first[0] == b'0' {
        return None;
    }
    let thousands = [decimal.other().mark()];
    let gap = std::iter::once(&thousands[..])
        .chain(GAPS.iter().map(|gap| gap.as_bytes()))
        .find(|gap| rest.starts_with(gap))?;
    while !rest.is_empty() {
        let (group, behind) = rest.strip_prefix(gap)?.split_at_checked(3)?;
        sum = add(sum, group)?;
        rest = behind;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::written;
    use crate::{Decimal, MAX_AMOUNT_MINOR};

    #[test]
    fn amounts_are_read_by_the_mark_that_is_known() {
        for (text, point, comma) in [
            ("7811", Some(781_100), Some(781_100)),
            ("0007", Some(700), Some(700)),
            ("10.50", Some(1050), None),
            ("10,50", None, Some(1050)),
            ("10,5", None, Some(1050)),
            ("1234,5000", None, Some(123_450)),
            ("1.234", None, Some(123_400)),
            ("1,234", Some(123_400), None),
            ("1.000", Some(100), Some(100_000)),
            ("0.500", Some(50), None),
            ("1.234,56", None, Some(123_456)),
            ("1,234.56", Some(123_456), None),
            ("12.345.678,9", None, Some(1_234_567_890)),
            ("1,234,567", Some(123_456_700), None),
            ("1 234,56", None, Some(123_456)),
            ("1\u{a0}234\u{a0}567,00", None, Some(123_456_700)),
            ("1\u{202f}234.56", Some(123_456), None),
            ("1\u{2009}234", Some(123_400), Some(123_400)),
            ("1'234.50", Some(123_450), None),
            ("1\u{2019}234,50", None, Some(123_450)),
            ("R$ 1.234,56", None, Some(123_456)),
            ("R$\u{a0}10.50", Some(1050), None),
            ("-R$ 5,00", None, Some(-500)),
            ("R$ -5,00", None, Some(-500)),
            ("(R$ 5,00)", None, Some(-500)),
            ("R$ ( 5,00 )", None, Some(-500)),
            ("(5.00)", Some(-500), None),
            ("+ 5", Some(500), Some(500)),
            ("1.234,56 €", None, Some(123_456)),
            ("US$ 1,234.56", Some(123_456), None),
            ("BRL10", Some(1000), Some(1000)),
            ("9.999.999.999,99", None, Some(MAX_AMOUNT_MINOR)),
        ] {
            let read = |decimal| written(text.as_bytes(), decimal);
            assert_eq!((read(Decimal::Point), read(Decimal::Comma)), (point, comma), "{text}");
        }
        for text in [
            "",
            "-",
            "()",
            "R$",
            ",50",
            ".50",
            "5,",
            "5.",
            "1,23,456.00",
            "1.23.456,00",
            "1.23.4",
            "1,2,3",
            "12.34,5.6",
            "1.234,567",
            "1,234.567",
            "0.123,00",
            "0,123.00",
            "1234.567,00",
            "1,234 567.00",
            "1 234.567,00",
            "1  234,00",
            "--5",
            "(-5)",
            "-(5)",
            "(5",
            "R$ $ 5",
            "R$ 5 €",
            "€€5",
            "1e3",
            "\u{661}\u{660}",
            "\u{ff11}\u{ff10}",
            "#REF!",
            "10%",
            "99.999.999.999.999.999.999,00",
            "99,999,999,999,999,999,999.00",
            "10000000000",
        ] {
            for &decimal in Decimal::ALL {
                assert_eq!(written(text.as_bytes(), decimal), None, "{text}");
            }
        }
    }
}
