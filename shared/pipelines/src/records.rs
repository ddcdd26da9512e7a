//! From bytes to records and fields, as the `csv` crate reads them (default settings, `flexible`, no headers).
//!
//! A quote is special only as the first byte of a field; inside quotes `""` is a quote; what follows a closing quote
//! is taken as it stands; `\n`, `\r` and `\r\n` end a record; empty lines are none.

mod objects;

use memchr::{memchr, memchr3};

pub(crate) use objects::Objects;

/// Reads the records of a run of bytes that starts at the start of a record or of a line.
#[derive(Debug)]
pub struct Records<'a> {
    data: &'a [u8],
    pos: usize,
    line: u64,
    /// Fields of the record last read: unquoted and unescaped.
    spans: Vec<Span>,
    /// Fields that do not stand in the file as they are.
    unescaped: Vec<u8>,
}

/// One record, until the next is read.
#[derive(Debug)]
pub struct Record<'r> {
    /// Line of its first byte.
    pub line: u64,
    /// Where its first byte stands in the data.
    pub start: usize,
    /// Its bytes, without the line end.
    pub raw: &'r [u8],
    data: &'r [u8],
    unescaped: &'r [u8],
    spans: &'r [Span],
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    unescaped: bool,
}

impl Span {
    /// Of a field that the record does not have, as only an object may.
    const ABSENT: Self = Self { start: u32::MAX, end: u32::MAX, unescaped: false };
}

impl<'a> Records<'a> {
    /// `first_line`: the line of the first byte.
    ///
    /// # Panics
    /// When there are 4 GiB or more.
    pub fn new(data: &'a [u8], first_line: u64) -> Self {
        assert!(u32::try_from(data.len()).is_ok(), "a chunk is far smaller than 4 GiB");
        Self { data, pos: 0, line: first_line, spans: Vec::new(), unescaped: Vec::new() }
    }

    /// The next record, or `None` at the end.
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        self.skip_empty_lines();
        if self.pos >= self.data.len() {
            return None;
        }
        let (start, line) = (self.pos, self.line);
        self.spans.clear();
        self.unescaped.clear();
        let mut at = start;
        let end = loop {
            let end = if self.data.get(at) == Some(&b'"') { self.quoted(at) } else { self.plain(at) };
            if self.data.get(end) != Some(&b',') {
                break end;
            }
            at = end + 1;
        };
        self.pos = end;
        self.end_line();
        Some(Record {
            line,
            start,
            raw: &self.data[start..end],
            data: self.data,
            unescaped: &self.unescaped,
            spans: &self.spans,
        })
    }

    fn skip_empty_lines(&mut self) {
        while matches!(self.data.get(self.pos), Some(b'\n' | b'\r')) {
            self.end_line();
        }
    }

    /// Goes behind the line end that stands here, if one does.
    fn end_line(&mut self) {
        match self.data.get(self.pos) {
            Some(b'\n') => self.pos += 1,
            Some(b'\r') if self.data.get(self.pos + 1) == Some(&b'\n') => self.pos += 2,
            Some(b'\r') => self.pos += 1,
            _ => return,
        }
        self.line += 1;
    }

    /// Where the field that is not in quotes, or its part behind them, ends.
    fn field_end(&self, at: usize) -> usize {
        let rest = &self.data[at..];
        at + memchr3(b',', b'\n', b'\r', rest).unwrap_or(rest.len())
    }

    fn plain(&mut self, at: usize) -> usize {
        let end = self.field_end(at);
        self.push(at, end, false);
        end
    }

    /// Reads the field whose opening quote stands at `quote`.
    fn quoted(&mut self, quote: usize) -> usize {
        let data = self.data;
        let start = quote + 1;
        let mut at = start;
        let mut escapes = false;
        let close = loop {
            let Some(found) = memchr3(b'"', b'\n', b'\r', &data[at..]) else {
                break data.len();
            };
            let found = at + found;
            let next = data.get(found + 1);
            at = found + 1;
            match (data[found], next) {
                (b'"', Some(b'"')) => {
                    escapes = true;
                    at += 1;
                }
                (b'"', _) => break found,
                // the line ends with the `\n` that follows
                (b'\r', Some(b'\n')) => {}
                _ => self.line += 1,
            }
        };
        let behind = data.len().min(close + 1);
        let end = self.field_end(behind);
        if !escapes && end == behind {
            self.push(start, close, false);
            return end;
        }
        let from = self.unescaped.len();
        let mut rest = &data[start..close];
        while let Some(quote) = memchr(b'"', rest) {
            self.unescaped.extend_from_slice(&rest[..=quote]);
            rest = &rest[quote + 2..];
        }
        self.unescaped.extend_from_slice(rest);
        self.unescaped.extend_from_slice(&data[behind..end]);
        self.push(from, self.unescaped.len(), true);
        end
    }

    #[expect(clippy::cast_possible_truncation, reason = "`new` has checked that all of the data is below 4 GiB")]
    fn push(&mut self, start: usize, end: usize, unescaped: bool) {
        self.spans.push(Span { start: start as u32, end: end as u32, unescaped });
    }
}

impl<'r> Record<'r> {
    /// How many fields it has; at least one.
    pub fn columns(&self) -> usize {
        self.spans.len()
    }

    /// The field at a place, unquoted and unescaped.
    pub fn field(&self, place: usize) -> Option<&'r [u8]> {
        let span = self.spans.get(place).filter(|span| span.start != Span::ABSENT.start)?;
        let bytes = if span.unescaped { self.unescaped } else { self.data };
        Some(&bytes[span.start as usize..span.end as usize])
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = &'r [u8]> {
        (0..self.columns()).filter_map(|place| self.field(place))
    }
}
