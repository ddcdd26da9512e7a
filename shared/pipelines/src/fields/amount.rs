//! Amounts of money: decimal numbers to hundredths, exactly.

/// The largest amount, of either sign, that is taken at any door: 9,999,999,999.99, in hundredths. It is the most that the
/// amount of a PIX code has room for (thirteen characters, BCB's "Manual de Padrões para Iniciação do Pix", field 54).
pub const MAX_AMOUNT_MINOR: i64 = 999_999_999_999;

/// Decimal digits, then nothing or a point and decimals, of which those beyond the second are zeros, as databases pad
/// them; at most [`MAX_AMOUNT_MINOR`].
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
        [tenths, hundredths, rest @ ..] if !rest.is_empty() && rest.iter().all(|byte| *byte == b'0') => {
            Some((&bytes[..point], 10 * digit(*tenths)? + digit(*hundredths)?))
        }
        _ => None,
    }
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

/// A number of JSON with an exponent, without one: `1.25E2` is `125`. Exact; `None` where it has no exponent, or has more
/// digits on one side of its point than any amount.
pub(crate) fn without_exponent(number: &str) -> Option<String> {
    const MOST: i32 = 40;
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
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
            ("10.500", 1050),
            ("10.5000", 1050),
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
    fn numbers_of_json_lose_their_exponent_and_nothing_else() {
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
        ] {
            assert_eq!(without_exponent(number).as_deref(), Some(plain), "{number}");
        }
        for number in ["1", "1.5", "1e400", "1e-2147483649", "1e99999999999999999999"] {
            assert_eq!(without_exponent(number), None, "{number}");
        }
    }
}
