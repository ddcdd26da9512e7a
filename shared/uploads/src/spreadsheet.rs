//! Fields that a spreadsheet would run. What begins with `=`, `+`, `-`, `@`, a tab or a carriage return is a formula to it (OWASP,
//! "CSV Injection"); behind an apostrophe it is a text.

use gristmill_pipelines::Delimiter;

/// By it a spreadsheet knows that the file is UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Puts an apostrophe before such fields of a CSV file that comes in pieces, and a byte order mark before the first of them.
#[derive(Debug)]
pub(crate) struct Cells {
    delimiter: u8,
    begun: bool,
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
    /// For a file in UTF-8 that has no mark, with this delimiter.
    pub(crate) fn new(delimiter: Delimiter) -> Self {
        Self { delimiter: delimiter.byte(), begun: false, at: At::default() }
    }

    /// The next piece as a spreadsheet may get it.
    pub(crate) fn harmless(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(MARK.len() + piece.len() + 16);
        if !std::mem::replace(&mut self.begun, true) {
            text.extend_from_slice(MARK);
        }
        for &byte in piece {
            let may_begin = matches!(self.at, At::Start | At::Opened);
            let ends = byte == self.delimiter && self.at == At::Start;
            if may_begin && !ends && is_formula(byte, self.at) {
                text.push(b'\'');
            }
            self.at = self.at.after(byte, self.delimiter);
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
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Start, b'"') => Self::Opened,
            (Self::Opened | Self::Quoted, b'"') => Self::Closing,
            (Self::Opened | Self::Quoted, _) | (Self::Closing, b'"') => Self::Quoted,
            (_, b'\n') => Self::Start,
            (_, byte) if byte == delimiter => Self::Start,
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
            let mut cells = Cells::new(Delimiter::Comma);
            let found: Vec<u8> = FILE.as_bytes().chunks(size).flat_map(|piece| cells.harmless(piece)).collect();
            assert_eq!(String::from_utf8(found).unwrap(), format!("\u{feff}{HARMLESS}"), "pieces of {size}");
        }
    }

    #[test]
    fn fields_begin_behind_the_files_own_delimiter() {
        let harmless = |delimiter, file: &str| {
            String::from_utf8(Cells::new(delimiter).harmless(file.as_bytes())).unwrap().split_off(MARK.len())
        };
        assert_eq!(harmless(Delimiter::Semicolon, "a;=1;b,=2\n;-3\n"), "a;'=1;b,=2\n;'-3\n");
        assert_eq!(harmless(Delimiter::Tab, "a\t\t=1\t\"\t2\"\n"), "a\t\t'=1\t\"'\t2\"\n");
    }
}
