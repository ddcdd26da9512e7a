//! Fields that a spreadsheet would run. What begins with `=`, `+`, `-`, `@`, a tab or a carriage return is a formula to it (OWASP,
//! "CSV Injection"); behind an apostrophe it is a text.

/// Puts an apostrophe before such fields of a CSV file that comes in pieces.
#[derive(Debug, Default)]
pub struct Cells {
    at: At,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum At {
    /// Of a field: a quote may open it.
    #[default]
    Start,
    /// Behind the quote that opens a field.
    Opened,
    Unquoted,
    Quoted,
    /// Behind a quote in a quoted field: it ends there, unless another one follows.
    Closing,
}

impl Cells {
    /// The next piece as a spreadsheet may get it.
    #[must_use]
    pub fn harmless(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(piece.len() + 16);
        for &byte in piece {
            if matches!(self.at, At::Start | At::Opened) && is_formula(byte, self.at) {
                text.push(b'\'');
            }
            self.at = self.at.after(byte);
            text.push(byte);
        }
        text
    }
}

/// A carriage return at the start of an unquoted field is the end of an empty line.
fn is_formula(byte: u8, at: At) -> bool {
    matches!(byte, b'=' | b'+' | b'-' | b'@' | b'\t') || (byte == b'\r' && at == At::Opened)
}

impl At {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Start, b'"') => Self::Opened,
            (Self::Opened | Self::Quoted, b'"') => Self::Closing,
            (Self::Opened | Self::Quoted, _) | (Self::Closing, b'"') => Self::Quoted,
            (_, b',' | b'\n') => Self::Start,
            _ => Self::Unquoted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "line,reason\r\n2,\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"\n3,-2+3+cmd|' /C calc'!A0\n4,@SUM(A1),+1\n\
                        5,\"a,=b\",c=d\n6,\"\tx\",\"\",=1\n";
    const HARMLESS: &str = "line,reason\r\n2,\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"\n3,'-2+3+cmd|' /C calc'!A0\n4,'@SUM(A1),'+1\n\
                            5,\"a,=b\",c=d\n6,\"'\tx\",\"\",'=1\n";

    #[test]
    fn formulas_are_texts_however_the_file_is_cut() {
        for size in 1..FILE.len() {
            let mut cells = Cells::default();
            let found: Vec<u8> = FILE.as_bytes().chunks(size).flat_map(|piece| cells.harmless(piece)).collect();
            assert_eq!(String::from_utf8(found).unwrap(), HARMLESS, "pieces of {size}");
        }
    }
}
