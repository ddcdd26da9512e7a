//! What counts as nothing at the ends of a field.

/// The text without what nobody sees at its ends: blanks of Unicode (`White_Space`, the no-break space among them),
/// characters of no width (U+200B to U+200F) and byte order marks (U+FEFF).
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(unseen)
}

/// The same for a field, of which nobody knows yet that it is UTF-8: if it is not, only ASCII blanks go.
#[inline]
pub(crate) fn trim_bytes(field: &[u8]) -> &[u8] {
    match field {
        // nothing to trim: all but a few
        [b'!'..=b'\x7f', .., b'!'..=b'\x7f'] => field,
        _ => trim_slowly(field),
    }
}

#[cold]
fn trim_slowly(field: &[u8]) -> &[u8] {
    match std::str::from_utf8(field) {
        Ok(text) => trim(text).as_bytes(),
        Err(_) => field.trim_ascii(),
    }
}

fn unseen(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{trim, trim_bytes};

    #[test]
    fn what_nobody_sees_goes_at_both_ends() {
        for blank in [
            " ",
            "\t",
            "\r\n",
            "\u{a0}",
            "\u{85}",
            "\u{1680}",
            "\u{2000}",
            "\u{200a}",
            "\u{2028}",
            "\u{202f}",
            "\u{205f}",
            "\u{3000}",
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{200e}",
            "\u{200f}",
            "\u{feff}",
            " \u{feff}\u{a0}\u{200b}",
        ] {
            for kept in ["a", "7", "é", "日本", "a b", "a\u{a0}b", "\u{202e}x", ""] {
                let text = format!("{blank}{kept}{blank}");
                assert_eq!(trim(&text), kept, "{text:?}");
                assert_eq!(trim_bytes(text.as_bytes()), kept.as_bytes(), "{text:?}");
            }
        }
        assert_eq!(trim_bytes(b" Jos\xe9 "), b"Jos\xe9");
        assert_eq!(trim_bytes(b"\xc2\xa0Jos\xe9"), b"\xc2\xa0Jos\xe9");
    }
}
