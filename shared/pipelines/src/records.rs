//! From bytes to records and fields, as the `csv` crate reads them (default settings and the delimiter of the file,
//! `flexible`, no headers), where all quotes are in their places. `\n`, `\r` and `\r\n` end a record; empty lines are none. What quotes are is in `quotes`:
//! a record that breaks those rules is its first line, unread, and the next one starts behind that line.

mod objects;

use memchr::{memchr, memchr2, memchr3};

pub(crate) use objects::Objects;

use crate::{
    Delimiter, ReasonCode,
    quotes::{self, Close, End, FailedQuotes},
    reject::{Fault, excerpt},
};

/// Reads the records of a run of bytes that starts at the start of a record or of a line.
#[derive(Debug)]
pub struct Records<'a> {
    data: &'a [u8],
    delimiter: Delimiter,
    pos: usize,
    line: u64,
    first_line: u64,
    /// The longest record, without its line end.
    max_record: usize,
    failed: FailedQuotes,
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
    /// Its quotes are not where they may be, so it is this line, and one field.
    pub(crate) broken: Option<Broken>,
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

/// A quoted field has no valid end.
struct Open;

/// What is wrong with the quotes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A quoted field goes on behind the line, and never comes to a valid end.
    Open,
    /// A quoted field is followed by this byte of the line, and not by the delimiter.
    FollowedBy(u8, Delimiter),
}

impl Broken {
    #[cold]
    pub(crate) fn fault(self, line: u64) -> Fault {
        let message = match self {
            Self::Open => format!("the quote opened on line {line} is not closed"),
            Self::FollowedBy(byte, delimiter) => format!(
                "a closing quote is followed by {} instead of a {delimiter} or the end of the line: a quote inside of \
                 quotes is written twice",
                excerpt(&[byte])
            ),
        };
        Fault { column: None, code: ReasonCode::BadQuoting, message }
    }
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
        let max_record = usize::MAX;
        Self {
            data,
            delimiter: Delimiter::Comma,
            pos: 0,
            line: first_line,
            first_line,
            max_record,
            failed: FailedQuotes::default(),
            spans: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// Fields are separated by this; else by commas.
    #[must_use]
    pub fn delimited_by(mut self, delimiter: Delimiter) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// No quoted field reaches beyond so many bytes of its record: one that is not closed by then is not.
    #[must_use]
    pub fn at_most(mut self, max_record_bytes: usize) -> Self {
        self.max_record = max_record_bytes;
        self
    }

    /// The next record, or `None` at the end.
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        self.skip_empty_lines();
        if self.pos >= self.data.len() {
            return None;
        }
        let (start, line, delimiter) = (self.pos, self.line, self.delimiter.byte());
        self.spans.clear();
        self.unescaped.clear();
        let mut at = start;
        let mut broken = None;
        let limit = start.saturating_add(self.max_record);
        let end = loop {
            let end = match self.quote_at(at) {
                Some(quote) if quote < limit => match self.quoted(quote, limit) {
                    Ok(end) => end,
                    Err(Open) => {
                        let way = self.failed.learn(self.data, delimiter, start, b'\n', self.max_record, true);
                        let end = self.first_line(start, line);
                        broken = Some(self.broken(way, end));
                        break end;
                    }
                },
                _ => self.plain(at),
            };
            if self.data.get(end) != Some(&delimiter) {
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
            broken,
            data: self.data,
            unescaped: &self.unescaped,
            spans: &self.spans,
        })
    }

    /// How many lines were read, empty ones too, by the reader's own count; a last one without a line end counts.
    pub fn lines(&self) -> u64 {
        let open = self.data[..self.pos].last().is_some_and(|last| !matches!(last, b'\n' | b'\r'));
        self.line - self.first_line + u64::from(open)
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
        at + memchr3(self.delimiter.byte(), b'\n', b'\r', rest).unwrap_or(rest.len())
    }

    fn plain(&mut self, at: usize) -> usize {
        let end = self.field_end(at);
        self.push(at, end, false);
        end
    }

    /// The quote that opens the field that starts here, if one does.
    #[inline]
    fn quote_at(&self, at: usize) -> Option<usize> {
        match self.data.get(at) {
            Some(b'"') => Some(at),
            Some(blank) if self.is_blank(*blank) => {
                let quote = at + self.data[at..].iter().position(|byte| !self.is_blank(*byte))?;
                (self.data[quote] == b'"').then_some(quote)
            }
            _ => None,
        }
    }

    #[inline]
    fn is_blank(&self, byte: u8) -> bool {
        quotes::is_blank(byte, self.delimiter.byte())
    }

    /// Goes back to the record's start, which is a record of one line and one field. Returns its end.
    #[cold]
    fn first_line(&mut self, start: usize, line: u64) -> usize {
        let rest = &self.data[start..];
        let end = start + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        self.line = line;
        self.spans.clear();
        self.push(start, end, false);
        end
    }

    /// What the end of a record's way comes to for its line, which ends at `end`.
    #[cold]
    fn broken(&self, way: Option<End>, end: usize) -> Broken {
        let behind = match way {
            Some(End::At(quote)) => self.data.get(quote + 1..end).unwrap_or_default(),
            Some(End::Inside(_) | End::Behind { .. }) | None => &[],
        };
        let next = behind.iter().find(|byte| !self.is_blank(**byte));
        next.map_or(Broken::Open, |byte| Broken::FollowedBy(*byte, self.delimiter))
    }

    /// Reads the field whose opening quote stands at `quote`, and returns what it ends before.
    fn quoted(&mut self, quote: usize, limit: usize) -> Result<usize, Open> {
        if !self.failed.is_empty() && self.fails(quote, limit) {
            return Err(Open);
        }
        let data = self.data;
        let start = quote + 1;
        let searched = data.len().min(limit);
        let mut at = start;
        let mut escapes = false;
        let (close, end) = loop {
            let Some(found) = data.get(at..searched).and_then(|rest| memchr3(b'"', b'\n', b'\r', rest)) else {
                return Err(Open);
            };
            let found = at + found;
            at = found + 1;
            match (data[found], data.get(at)) {
                (b'"', _) => match quotes::close(data, self.delimiter.byte(), found, limit, true) {
                    Close::At(end) => break (found, end),
                    Close::Escape => {
                        escapes = true;
                        at += 1;
                    }
                    Close::Never | Close::TooLong(_) | Close::Unclear => return Err(Open),
                },
                // the line ends with the `\n` that follows
                (b'\r', Some(b'\n')) => {}
                _ => self.line += 1,
            }
        };
        if !escapes {
            self.push(start, close, false);
            return Ok(end);
        }
        let from = self.unescaped.len();
        let mut rest = &data[start..close];
        while let Some(quote) = memchr(b'"', rest) {
            self.unescaped.extend_from_slice(&rest[..=quote]);
            rest = &rest[quote + 2..];
        }
        self.unescaped.extend_from_slice(rest);
        self.push(from, self.unescaped.len(), true);
        Ok(end)
    }

    /// Whether an earlier record that was broken came along here, and this one ends no better.
    #[cold]
    fn fails(&self, opening: usize, limit: usize) -> bool {
        match self.failed.end_of(opening) {
            None => false,
            Some(end) => !quotes::ends_well(self.data, self.delimiter.byte(), end, limit),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "`new` has checked that all of the data is below 4 GiB")]
    fn push(&mut self, start: usize, end: usize, unescaped: bool) {
        self.spans.push(Span { start: start as u32, end: end as u32, unescaped });
    }
}

impl<'r> Record<'r> {
    /// Whether it is a line whose quotes are not where they may be: its fields say nothing.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether a quote of it is not closed in the data.
    pub(crate) fn is_open(&self) -> bool {
        self.broken == Some(Broken::Open)
    }

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
