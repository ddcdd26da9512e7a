//! Counting lines: `\n`, `\r\n` and a lone `\r` each end one.

use memchr::{memchr, memchr_iter};

/// What a text in UTF-8 may begin with: it belongs to no line.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Counts the lines of a file while it arrives, whatever is in them.
#[derive(Debug, Default)]
pub struct LineCount {
    ends: u64,
    last: Option<u8>,
}

impl LineCount {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        // of a pair that was cut
        let counted = self.last == Some(b'\r') && bytes[0] == b'\n';
        self.ends += line_ends(bytes) - u64::from(counted);
        self.last = Some(*last);
    }

    /// The line that the next byte stands on, unless it belongs to the line end before it.
    pub(crate) fn line(&self) -> u64 {
        self.ends + 1
    }

    /// The line that the byte behind these next ones stands on; as [`line`](Self::line).
    pub(crate) fn line_at(&self, next: &[u8]) -> u64 {
        let counted = self.last == Some(b'\r') && next.first() == Some(&b'\n');
        self.line() + line_ends(next) - u64::from(counted)
    }

    /// The last byte; a line end before the first.
    pub(crate) fn last(&self) -> u8 {
        self.last.unwrap_or(b'\n')
    }

    /// How many there are; a last one without a line end counts.
    pub fn lines(&self) -> u64 {
        self.ends + u64::from(self.last.is_some_and(|last| !matches!(last, b'\n' | b'\r')))
    }
}

/// How many lines end in `bytes`. A `\r` at the very end counts: whoever goes on with a `\n` takes one off.
pub(crate) fn line_ends(bytes: &[u8]) -> u64 {
    let feeds = memchr_iter(b'\n', bytes).count();
    let returns = match memchr(b'\r', bytes) {
        None => 0,
        Some(first) => {
            let rest = &bytes[first..];
            memchr_iter(b'\r', rest).count() - pairs(rest)
        }
    };
    (feeds + returns) as u64
}

/// How often `\r\n` stands in `bytes`. The sums are bytes, over runs too short to overflow them, so that the compiler
/// makes vector code of it.
fn pairs(bytes: &[u8]) -> usize {
    const RUN: usize = 128;
    let next = bytes.get(1..).unwrap_or_default();
    bytes
        .chunks(RUN)
        .zip(next.chunks(RUN))
        .map(|(here, next)| {
            let pairs = here.iter().zip(next).map(|(a, b)| u8::from((*a == b'\r') & (*b == b'\n')));
            usize::from(pairs.sum::<u8>())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{LineCount, line_ends};

    #[test]
    fn lines_are_counted_however_they_come() {
        let file = b"a\r\n\r\n\rb\n\n\"c\r\n\"\r\r\nd";
        for size in 1..=file.len() {
            let mut count = LineCount::default();
            file.chunks(size).for_each(|bytes| count.push(bytes));
            assert_eq!(count.lines(), 9, "by {size}");
        }
        assert_eq!(LineCount::default().lines(), 0);
    }

    #[test]
    fn every_kind_of_line_end_counts_once() {
        for (bytes, lines) in
            [("", 0), ("a", 0), ("a\n", 1), ("a\r\nb\r\n", 2), ("\r\r\n\n", 3), ("a\rb\rc", 2), ("\r", 1), ("\n\r", 2)]
        {
            assert_eq!(line_ends(bytes.as_bytes()), lines, "{bytes:?}");
        }
        assert_eq!(line_ends("ab\r\n".repeat(1000).as_bytes()), 1000);
        assert_eq!(line_ends("\r\n".repeat(1000).as_bytes()), 1000);
    }
}
