//! Identifiers that a spreadsheet has made numbers of.

/// Whether it is the short form in which spreadsheets write a long number: `3.73E+09`, `1,23E+10`, `1.2345678909e10`,
/// `1E+10`. What it stood for is lost. An exponent without a sign and a point may be an id (`1E5`).
#[inline]
pub(crate) fn shortened(id: &[u8]) -> bool {
    // one look at all but a few
    matches!(id, [_, b'.' | b',' | b'e' | b'E', ..] | [b'+' | b'-', _, b'.' | b',' | b'e' | b'E', ..]) && is_short(id)
}

#[cold]
fn is_short(id: &[u8]) -> bool {
    let id = id.strip_prefix(b"-").or(id.strip_prefix(b"+")).unwrap_or(id);
    let Some(at) = id.iter().position(|byte| matches!(byte, b'e' | b'E')) else { return false };
    let (mantissa, exponent) = (&id[..at], &id[at + 1..]);
    let (signed, exponent) = match exponent {
        [b'+' | b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let point = match mantissa {
        [b'0'..=b'9'] => false,
        [b'0'..=b'9', b'.' | b',', decimals @ ..] if digits(decimals) => true,
        _ => return false,
    };
    (signed || point) && (1..=3).contains(&exponent.len()) && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn what_spreadsheets_write_is_told_from_ids() {
        for id in [
            "1.23E+10",
            "1,23E+10",
            "3.73E+09",
            "1E+10",
            "1.23456789e10",
            "1.2345678909E10",
            "-1.5E+12",
            "9.E+11",
            "5e-07",
        ] {
            assert!(shortened(id.as_bytes()), "{id}");
        }
        for id in [
            "",
            "1",
            "12",
            "1.5",
            "1,5",
            "1E5",
            "9e10",
            "1e",
            "E+10",
            "12E+10",
            "12.3E+10",
            "3730189502",
            "12ABC34501DE35",
            "12.345.678/0001-95",
            "1.23E+1000",
            "1.23E+",
            "1.2x3E+10",
            "1-2E+10",
            "+5511999998888",
            "-",
            "1.E",
            "aE+10",
        ] {
            assert!(!shortened(id.as_bytes()), "{id}");
        }
    }
}
