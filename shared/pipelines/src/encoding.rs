//! Whether a file is written in UTF-8, told while it arrives.

use crate::{Foreign, lines::line_ends};

/// So much of a file is looked at: what comes behind is a matter of its rows.
const WINDOW: u64 = 1 << 20;
/// Where at least one line in so many is not UTF-8, it is not that line that is wrong.
const ONE_IN: u64 = 100;

/// Looks at the first megabyte of a file. A file of one byte a character has no letter beyond ASCII that is UTF-8, but many
/// lines with what is none; a file of UTF-8 may have damaged lines, which are rejected one by one.
#[derive(Debug, Default)]
pub struct Encoding {
    looked: u64,
    /// A character that the last frame has begun.
    open: Vec<u8>,
    /// A letter beyond ASCII was UTF-8, or the window is behind us.
    settled: bool,
    lines: u64,
    returned: bool,
    /// The first byte that is none, and its line.
    first: Option<(u8, u64)>,
    wrong_lines: u64,
    last_wrong: Option<u64>,
}

impl Encoding {
    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// The file is not written in UTF-8.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), Foreign> {
        if self.settled {
            return Ok(());
        }
        let left = usize::try_from(WINDOW - self.looked).unwrap_or(usize::MAX).min(frame.len());
        let frame = &frame[..left];
        self.looked += left as u64;
        if self.open.is_empty() && frame.is_ascii() {
            self.count(frame);
        } else {
            let mut bytes = std::mem::take(&mut self.open);
            bytes.extend_from_slice(frame);
            self.look(&bytes);
        }
        if self.looked == WINDOW { self.judge() } else { Ok(()) }
    }

    /// The file is over.
    ///
    /// # Errors
    /// The file is not written in UTF-8.
    pub fn finish(&mut self) -> Result<(), Foreign> {
        if let (false, Some(byte)) = (self.settled, self.open.first()) {
            self.wrong(*byte);
        }
        self.judge()
    }

    fn judge(&mut self) -> Result<(), Foreign> {
        if std::mem::replace(&mut self.settled, true) {
            return Ok(());
        }
        match self.first {
            Some((byte, line)) if self.wrong_lines * ONE_IN > self.lines => Err(Foreign::OneByte { byte, line }),
            _ => Ok(()),
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        let mut seen = 0;
        for part in bytes.utf8_chunks() {
            if !part.valid().is_ascii() {
                self.settled = true;
                return;
            }
            self.count(part.valid().as_bytes());
            seen += part.valid().len() + part.invalid().len();
            match part.invalid() {
                [] => {}
                [_, ..] if seen == bytes.len() && is_begun(part.invalid()) => self.open = part.invalid().to_vec(),
                [byte, ..] => self.wrong(*byte),
            }
        }
    }

    fn wrong(&mut self, byte: u8) {
        let line = self.lines + 1;
        self.first.get_or_insert((byte, line));
        self.wrong_lines += u64::from(self.last_wrong.replace(line) != Some(line));
        self.returned = false;
    }

    fn count(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let counted = self.returned && bytes[0] == b'\n';
        self.lines += line_ends(bytes) - u64::from(counted);
        self.returned = *last == b'\r';
    }
}

/// Whether more bytes could make a character of it.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &[u8], cut: usize) -> Result<(), Foreign> {
        let mut encoding = Encoding::default();
        file.chunks(cut).try_for_each(|frame| encoding.push(frame))?;
        encoding.finish()
    }

    #[test]
    fn one_byte_a_letter_is_found_however_the_file_is_cut() {
        let latin = b"name,x\r\nAna,1\r\nJo\xe3o,2\r\nJos\xe9 da Concei\xe7\xe3o,3\r\n";
        let ends_with_it = b"name\rAna\rJos\xe9";
        let utf8 = "name,x\r\nJosé,1\r\nJoão,2\r\n".as_bytes();
        let damaged = "name,x\r\nJosé,1\r\nJo\u{fffd}o,2\r\n".replace('\u{fffd}', "?").into_bytes();
        let damaged = [&damaged[..], b"Jo\xe3o,2\r\n"].concat();
        let cp1252 = b"name\nAna \x96 Bia\n";
        for cut in [1, 2, 3, 7, 1000] {
            assert_eq!(judged(latin, cut), Err(Foreign::OneByte { byte: 0xe3, line: 3 }), "{cut}");
            assert_eq!(judged(cp1252, cut), Err(Foreign::OneByte { byte: 0x96, line: 2 }), "{cut}");
            assert_eq!(judged(utf8, cut), Ok(()), "{cut}");
            assert_eq!(judged(&damaged, cut), Ok(()), "{cut}");
            assert_eq!(judged(ends_with_it, cut), Err(Foreign::OneByte { byte: 0xe9, line: 3 }), "{cut}");
            assert_eq!(judged(b"", cut), Ok(()));
        }
    }

    #[test]
    fn one_damaged_line_of_many_is_a_matter_of_that_line() {
        let mut file = b"name\nJos\xe9,1\n".to_vec();
        file.extend(b"Ana,1\n".repeat(98));
        assert_eq!(judged(&file, 64), Ok(()));
        file.extend(b"Jo\xe3o,1\n");
        assert_eq!(judged(&file, 64), Err(Foreign::OneByte { byte: 0xe9, line: 2 }));
    }

    #[test]
    fn what_comes_behind_the_first_megabyte_is_a_matter_of_its_rows() {
        let mut file = b"Ana,1\n".repeat(200_000);
        file.extend(b"Jo\xe3o,1\n".repeat(10_000));
        assert_eq!(judged(&file, 10_000), Ok(()));
    }
}
