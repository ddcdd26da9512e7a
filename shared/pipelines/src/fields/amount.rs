//! Amounts of money: decimal numbers to hundredths, exactly.

mod dialect;

pub(crate) use dialect::{in_one_way, open, without_currency, written};

/// The largest amount, of either sign, that is taken at any door: 9,999,999,999.99, in hundredths. It is the most that the
/// amount of a PIX code has room for (thirteen characters, BCB's "Manual de Padrões para Iniciação do Pix", field 54).
pub const MAX_AMOUNT_MINOR: i64 = 999_999_999_999;

/// Decimal digits, then nothing or a point and decimals, of which those beyond the second are zeros, as databases pad
/// them; at most [`MAX_AMOUNT_MINOR`]. Not what is [`two_readings`].
pub(crate) fn unsigned(bytes: &[u8]) -> Option<i64> {
    let (units, hundredths) = match bytes {
        [units @ .., b'.', tenths] => (units, 10 * digit(*tenths)?),
        [units @ .., b'.', tenths, hundredths] => (units, 10 * digit(*tenths)? + digit(*hundredths)?),
        units => match padded(units) {
            Some((units, hundredths)) => (units, hundredths),
            None => (units, 0),
        },
    };
    if units.is_empty() {
        return None;
    }
    let units = units.iter().try_fold(0_i64, |sum, byte| sum.checked_mul(10)?.checked_add(digit(*byte)?))?;
    within(units.checked_mul(100)?.checked_add(hundredths)?)
}

/// What stands behind the units, point and all.
pub(crate) fn decimals(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [] => Some(0),
        [b'.', tenths] => Some(10 * digit(*tenths)?),
        [b'.', tenths, hundredths] => Some(10 * digit(*tenths)? + digit(*hundredths)?),
        bytes => padded(bytes).filter(|(units, _)| units.is_empty()).map(|(_, hundredths)| hundredths),
    }
}

/// The amount, unless it is larger than any may be.
pub(crate) fn within(minor: i64) -> Option<i64> {
    (minor <= MAX_AMOUNT_MINOR).then_some(minor)
}

/// The units and hundredths of a number with three or more decimals, of which those beyond the second are zeros.
#[cold]
fn padded(bytes: &[u8]) -> Option<(&[u8], i64)> {
    let point = bytes.iter().position(|byte| *byte == b'.')?;
    match &bytes[point + 1..] {
        [_, _, b'0'] if may_be_thousands(&bytes[..point]) => None,
        [tenths, hundredths, rest @ ..] if !rest.is_empty() && rest.iter().all(|byte| *byte == b'0') => {
            Some((&bytes[..point], 10 * digit(*tenths)? + digit(*hundredths)?))
        }
        _ => None,
    }
}

/// Whether a point or a comma may follow these digits that parts thousands from hundreds.
fn may_be_thousands(units: &[u8]) -> bool {
    matches!(units, [b'1'..=b'9', rest @ ..] if rest.len() < 3 && rest.iter().all(u8::is_ascii_digit))
}

/// Both readings of an amount of one to three digits, one separator, three digits with a zero at their end: `1.000` is a
/// thousand in Brazil, and 1.00 where a database pads three decimals. With `commas` it may be a comma too. Signs and a `$`
/// before it are read over.
#[cold]
pub(crate) fn two_readings(text: &[u8], commas: bool) -> Option<(String, String)> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, text) = match text.trim_start_matches(['$', '+', ' ']).strip_prefix('-') {
        Some(rest) => ("-", rest.trim_start_matches(['$', ' '])),
        None => ("", text.trim_start_matches(['$', '+', ' '])),
    };
    let (units, behind) = text.split_once(|c| c == '.' || commas && c == ',')?;
    match behind.as_bytes() {
        [a, b, b'0'] if may_be_thousands(units.as_bytes()) && a.is_ascii_digit() && b.is_ascii_digit() => {
            Some((format!("{sign}{units}{behind}"), format!("{sign}{units}.{}", &behind[..2])))
        }
        _ => None,
    }
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

/// A number of JSON as an amount is written, where it is not already: `1.25E2` is `125`, and `1.000`, which has one meaning in
/// JSON, is `1`. Exact; `None` where it has neither an exponent nor three decimals, or has more digits on one side of its point
/// than any amount.
pub(crate) fn plain_number(number: &str) -> Option<String> {
    const MOST: i32 = 40;
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some(parts) => parts,
        None if number.len() > 4 && number.as_bytes()[number.len() - 4] == b'.' => (number, "0"),
        None => return None,
    };
    let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= MOST)?;
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (units, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{units}{decimals}");
    let point = i32::try_from(units.len()).ok()? + exponent;
    let (units, decimals) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => (digits[..point].to_owned(), digits[point..].to_owned()),
        Err(_) => {
            let width = digits.len() + usize::try_from(-point).ok()?;
            (String::new(), format!("{digits:0>width$}"))
        }
    };
    let (units, decimals) = (units.trim_start_matches('0'), decimals.trim_end_matches('0'));
    let units = if units.is_empty() { "0" } else { units };
    let point = if decimals.is_empty() { "" } else { "." };
    Some(format!("{sign}{units}{point}{decimals}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_decimals() {
        for (text, hundredths) in [
            ("7811", 781_100),
            ("1000000.00", 100_000_000),
            ("0.01", 1),
            ("19.99", 1999),
            ("19.9", 1990),
            ("0007", 700),
            ("10.5000", 1050),
            ("0.500", 50),
            ("1234.500", 123_450),
            ("7.000000", 700),
            ("9999999999.99", MAX_AMOUNT_MINOR),
            ("9999999999.990", MAX_AMOUNT_MINOR),
        ] {
            assert_eq!(unsigned(text.as_bytes()), Some(hundredths), "{text}");
            let point = text.find('.').unwrap_or(text.len());
            assert_eq!(decimals(&text.as_bytes()[point..]), Some(hundredths % 100), "{text}");
        }
        for text in [
            "",
            "-5",
            ".50",
            ".500",
            "5.",
            ".",
            "1.234",
            "1.0001",
            "1.00.0",
            "1.0.00",
            "1.000",
            "10.500",
            "999.990",
            "1,000",
            "1.000,00",
            "10,50",
            "1 000",
            "1e3",
            "٣",
            "5.x",
            "5.00x",
            "10000000000",
            "10000000000.00",
            "92233720368547758.07",
            "99999999999999999999999999",
        ] {
            assert_eq!(unsigned(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_reads_in_two_ways_is_read_in_both() {
        for (text, thousands, decimals) in [
            ("1.000", "1000", "1.00"),
            ("10.500", "10500", "10.50"),
            ("-999.990", "-999990", "-999.99"),
            ("+1,000", "1000", "1.00"),
            ("$-1.230", "-1230", "-1.23"),
            ("-$1.230", "-1230", "-1.23"),
        ] {
            let both = Some((thousands.to_owned(), decimals.to_owned()));
            assert_eq!(two_readings(text.as_bytes(), true), both, "{text}");
        }
        assert_eq!(two_readings(b"1,000", false), None);
        for text in
            ["1.234", "0.500", "1234.500", "1.0000", "1.000.000", "1,000.000", "1.00", "x.000", "1.0x0", "é.000"]
        {
            assert_eq!(two_readings(text.as_bytes(), true), None, "{text}");
        }
    }

    #[test]
    fn numbers_of_json_become_amounts_and_lose_nothing() {
        for (number, plain) in [
            ("1E2", "100"),
            ("1e+2", "100"),
            ("1.25E2", "125"),
            ("12.5e1", "125"),
            ("1.999e1", "19.99"),
            ("1999e-2", "19.99"),
            ("5e-3", "0.005"),
            ("-7.5E0", "-7.5"),
            ("0e5", "0"),
            ("1.500e1", "15"),
            ("1.000", "1"),
            ("-10.500", "-10.5"),
            ("1.234", "1.234"),
        ] {
            assert_eq!(plain_number(number).as_deref(), Some(plain), "{number}");
        }
        for number in ["1", "1.5", "1.50", "1.5000", "1000", "1e400", "1e-2147483649", "1e99999999999999999999"] {
            assert_eq!(plain_number(number), None, "{number}");
        }
    }
}
