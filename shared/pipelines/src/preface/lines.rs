//! The first lines of a text, before it is known what they are.

use memchr::memchr2;

use crate::lines::BYTE_ORDER_MARK;

/// A line that is not empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Where it starts.
    pub(crate) at: usize,
    /// Its number, from 1.
    pub(crate) line: u64,
}

/// The lines of a text that are not empty, behind its byte order mark.
pub(crate) struct Lines<'t> {
    text: &'t [u8],
    next: Line,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self::from(text, 1)
    }

    /// Of a text that begins on this line.
    pub(super) fn from(text: &'t [u8], line: u64) -> Self {
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { text, next: Line { at, line } }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let here = self.next;
            let rest = self.text.get(here.at..).filter(|rest| !rest.is_empty())?;
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let next = match rest[end..] {
                [b'\r', b'\n', ..] => end + 2,
                [] => end,
                _ => end + 1,
            };
            self.next = Line { at: here.at + next, line: here.line + 1 };
            if end > 0 {
                return Some(here);
            }
        }
    }
}

/// Whether a line of JSON starts here: a brace with something behind it. `None`: more bytes are needed.
pub(super) fn json(text: &[u8], max_record_bytes: usize) -> Option<bool> {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let text = &text[..text.len().min(max_record_bytes.saturating_add(1))];
    let rest = &text[text.iter().take_while(blank).count()..];
    match rest {
        [] => None,
        [b'{', behind @ ..] => behind.iter().find(|byte| !blank(byte)).map(|next| !matches!(next, b'\n' | b'\r')),
        _ => Some(false),
    }
}

/// What the line `sep=` says that starts here, if one does.
pub(super) fn sep(text: &[u8], whole: bool) -> Option<&[u8]> {
    let end = memchr2(b'\n', b'\r', text).or(whole.then_some(text.len()))?;
    let bare = |text: &'_ [u8]| -> (usize, usize) {
        let blanks = text.iter().take_while(|byte| **byte == b' ').count();
        (blanks, text.len() - text.iter().rev().take_while(|byte| **byte == b' ').count())
    };
    let (from, to) = bare(&text[..end]);
    let line = text.get(from..to)?;
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (word, what) = line.split_at_checked(4)?;
    word.eq_ignore_ascii_case(b"sep=").then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_that_are_not_empty() {
        let lines = |text: &str| Lines::new(text.as_bytes()).map(|line| (line.at, line.line)).collect::<Vec<_>>();
        assert_eq!(lines("a\nb\r\n\r\nc\rd"), [(0, 1), (2, 2), (7, 4), (9, 5)]);
        assert_eq!(lines("\u{feff}\n\ra"), [(5, 3)]);
        assert_eq!(lines("\n\r\n"), []);
    }

    #[test]
    fn a_line_of_json_is_told_from_a_brace() {
        for (text, is) in [
            ("{\"a\":1}", Some(true)),
            (" \t{ \"a", Some(true)),
            ("{\n", Some(false)),
            ("{ \r\n", Some(false)),
            ("{ ", None),
            (" ", None),
            ("[{", Some(false)),
            ("name", Some(false)),
        ] {
            assert_eq!(json(text.as_bytes(), 100), is, "{text}");
        }
    }

    #[test]
    fn the_line_of_excel_is_known() {
        for (text, what) in [
            ("sep=;\r\n", Some(";")),
            ("SEP=,\n", Some(",")),
            (" \"sep=\t\" \rx", Some("\t")),
            ("sep=\n", Some("")),
            ("sep=\t\n", Some("\t")),
            ("sep=;", None),
            ("separator;\n", None),
            ("\n", None),
        ] {
            assert_eq!(sep(text.as_bytes(), false), what.map(str::as_bytes), "{text}");
        }
        assert_eq!(sep(b"sep=;", true), Some(&b";"[..]));
    }
}
