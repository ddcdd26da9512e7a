//! How many bytes of a file a piece of its decoded text was.

use super::Charset;

/// So many bytes of the file the text was, of which each character is whole; `None` where that cannot be told from the text.
/// Exact, but for a file of UTF-16 that ends with half a unit: there the last text is one byte less.
#[must_use]
pub fn source_len(charset: Charset, text: &[u8]) -> Option<u64> {
    match charset {
        Charset::Utf8 => Some(text.len() as u64),
        Charset::Utf16Le | Charset::Utf16Be => Some(2 * (characters(text) + pairs(text))),
        Charset::Windows1252 | Charset::Ibm850 | Charset::Ibm437 => Some(characters(text)),
        Charset::Named(encoding) => encoding.is_single_byte().then(|| characters(text)),
    }
}

/// Bytes that begin a character, or stand for one that has no meaning.
fn characters(text: &[u8]) -> u64 {
    count(text, |byte| byte & 0xc0 != 0x80)
}

/// Characters of two units in UTF-16: of four bytes in UTF-8.
fn pairs(text: &[u8]) -> u64 {
    count(text, |byte| byte & 0xf8 == 0xf0)
}

/// The sums are bytes, over runs too short to overflow them, so that the compiler makes vector code of it.
fn count(text: &[u8], is: impl Fn(u8) -> bool) -> u64 {
    const RUN: usize = 128;
    text.chunks(RUN).map(|run| u64::from(run.iter().map(|byte| u8::from(is(*byte))).sum::<u8>())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_the_file_are_counted() {
        let text = "José — 😀 R$\u{a0}1,00 €\n".repeat(100);
        let units = text.encode_utf16().count() as u64;
        assert_eq!(source_len(Charset::Utf8, text.as_bytes()), Some(text.len() as u64));
        assert_eq!(source_len(Charset::Utf16Le, text.as_bytes()), Some(2 * units));
        assert_eq!(source_len(Charset::Utf16Be, b"a\xffb"), Some(6));
        assert_eq!(source_len(Charset::Windows1252, "José €\u{ff}".as_bytes()), Some(7));
        assert_eq!(source_len(Charset::Ibm850, b"a\xffb"), Some(3));
        assert_eq!(source_len(Charset::Named(encoding_rs::ISO_8859_2), "Łódź".as_bytes()), Some(4));
        assert_eq!(source_len(Charset::Named(encoding_rs::GBK), "a".as_bytes()), None);
    }
}
