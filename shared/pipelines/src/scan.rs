//! Finding record ends without looking at fields.
//!
//! A quote opens a quoted field only where a field starts, and outside of quotes a field starts exactly after a comma
//! or a line end. So the byte before a quote tells whether it opens, and only quotes and line ends are ever searched.

use memchr::{memchr, memchr2, memrchr2};

use crate::Format;

/// So much is searched for a quote at a time: what lies behind the record end that is wanted is searched in vain.
const WINDOW: usize = 64 * 1024;

/// A walk over bytes that may still grow at their end.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Everything before it has been looked at.
    pub(crate) pos: usize,
    /// Behind the last record end seen: where the open record starts.
    pub(crate) last_end: usize,
    /// The byte before the first one.
    pub(crate) before: u8,
    quoted: bool,
    /// In JSON a quote hides no line end.
    format: Format,
}

/// Why the walk stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The line end `record..next` ends a record (or an empty line), at or behind the place wanted.
    End { record: usize, next: usize },
    /// The record that starts at `last_end` is longer than allowed.
    TooLong,
}

impl Scan {
    /// At the start of a file or of a record.
    pub(crate) fn new(format: Format) -> Self {
        Self { pos: 0, last_end: 0, before: b'\n', quoted: false, format }
    }

    /// Walks on until a record ends whose end is at or behind `from`, a record is longer than `max_record`, or there
    /// is nothing left (`None`). `whole`: no byte will follow.
    pub(crate) fn advance(&mut self, data: &[u8], from: usize, max_record: usize, whole: bool) -> Option<Stop> {
        while self.pos < data.len() {
            if self.quoted {
                if !self.leave_quotes(data, whole) {
                    break;
                }
                continue;
            }
            let window = data.len().min(self.pos + WINDOW);
            let opening = self.opening_quote(&data[..window]);
            let run = opening.unwrap_or(window);
            match self.record_ends(data, run, from, max_record, whole) {
                Ends::Stop(stop) => return Some(stop),
                Ends::Unclear => return None,
                Ends::Passed => {}
            }
            self.pos = run;
            if opening.is_some() {
                self.quoted = true;
                self.pos += 1;
            }
        }
        (self.pos.saturating_sub(self.last_end) > max_record).then_some(Stop::TooLong)
    }

    /// Goes behind the quote that closes the field. `false`: it is not among the bytes yet.
    fn leave_quotes(&mut self, data: &[u8], whole: bool) -> bool {
        loop {
            let Some(found) = memchr(b'"', &data[self.pos..]) else {
                self.pos = data.len();
                return false;
            };
            let quote = self.pos + found;
            match data.get(quote + 1) {
                Some(b'"') => self.pos = quote + 2,
                // the usual way of a file that quotes every field
                Some(b',') if data.get(quote + 2) == Some(&b'"') => self.pos = quote + 3,
                None if !whole => {
                    self.pos = quote;
                    return false;
                }
                _ => {
                    self.pos = quote + 1;
                    self.quoted = false;
                    return true;
                }
            }
        }
    }

    fn opening_quote(&self, data: &[u8]) -> Option<usize> {
        if self.format == Format::Ndjson {
            return None;
        }
        let mut from = self.pos;
        loop {
            let quote = from + memchr(b'"', &data[from..])?;
            let before = if quote == 0 { self.before } else { data[quote - 1] };
            if matches!(before, b',' | b'\n' | b'\r') {
                return Some(quote);
            }
            from = quote + 1;
        }
    }

    /// Looks at the record ends of `data[pos..run]`, all of it outside of quotes.
    fn record_ends(&mut self, data: &[u8], run: usize, from: usize, max_record: usize, whole: bool) -> Ends {
        let Some(first) = memchr2(b'\n', b'\r', &data[self.pos..run]) else {
            return Ends::Passed;
        };
        let first = self.pos + first;
        if first - self.last_end > max_record {
            self.pos = first;
            return Ends::Stop(Stop::TooLong);
        }
        let wanted = first.max(from.saturating_sub(1));
        if wanted < run
            && let Some(found) = memchr2(b'\n', b'\r', &data[wanted..run])
        {
            let record = wanted + found;
            let next = match (data[record], data.get(record + 1)) {
                (b'\r', Some(b'\n')) => record + 2,
                (b'\r', None) if !whole => {
                    if let Some(last) = memrchr2(b'\n', b'\r', &data[first..record]) {
                        self.last_end = first + last + 1;
                    }
                    self.pos = record;
                    return Ends::Unclear;
                }
                _ => record + 1,
            };
            self.pos = next;
            self.last_end = next;
            return Ends::Stop(Stop::End { record, next });
        }
        let last = memrchr2(b'\n', b'\r', &data[first..run]).unwrap_or_default();
        self.last_end = first + last + 1;
        Ends::Passed
    }
}

enum Ends {
    Stop(Stop),
    /// A `\r` stands last: whether a `\n` belongs to it is not known yet.
    Unclear,
    Passed,
}
