//! Finding record ends without looking at fields.
//!
//! A quote opens a quoted field only where a field starts, and outside of quotes a field starts exactly after a
//! delimiter or a line end, and the blanks behind them. So what stands before a quote tells whether it opens, and only
//! quotes and line ends are ever searched. Whether a field is validly closed is known only at its end: where it is not, the walk
//! goes back to the start of the record, whose first line then is a record by itself, and reads on behind that line.
//! `quotes` has the rules.

use memchr::{memchr, memchr2, memrchr2};

use crate::{
    Format,
    quotes::{self, Close, End, FailedQuotes},
};

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
    state: State,
    /// Of the bytes as they stand now.
    failed: FailedQuotes,
    /// In JSON a quote hides no line end.
    format: Format,
    delimiter: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Outside of quotes.
    Plain,
    Quoted,
    /// In a record that ends with its line, whatever quotes it has.
    Line,
    /// In the rest of one that is known to be too long.
    Rest,
}

/// Why the walk stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The line end `record..next` ends a record (or an empty line), at or behind the place wanted.
    End { record: usize, next: usize },
    /// The record that starts at `last_end` is longer than allowed, and no quote hides its end.
    TooLong,
}

impl Scan {
    /// At the start of a file or of a record.
    pub(crate) fn new(format: Format) -> Self {
        Self {
            pos: 0,
            last_end: 0,
            before: b'\n',
            state: State::Plain,
            failed: FailedQuotes::default(),
            format,
            delimiter: format.delimiter(),
        }
    }

    /// The first bytes are gone.
    pub(crate) fn dropped(&mut self, bytes: usize, last: u8) {
        self.pos = self.pos.saturating_sub(bytes);
        self.last_end = self.last_end.saturating_sub(bytes);
        self.before = last;
        self.failed = FailedQuotes::default();
    }

    /// The open record, which is too long, ends with the line in which the walk is.
    pub(crate) fn end_with_line(&mut self) {
        self.state = State::Rest;
    }

    /// Walks on until a record ends whose end is at or behind `from`, a record is longer than `max_record`, or there
    /// is nothing left (`None`). `whole`: no byte will follow.
    pub(crate) fn advance(&mut self, data: &[u8], from: usize, max_record: usize, whole: bool) -> Option<Stop> {
        loop {
            match self.state {
                State::Quoted => match self.leave_quotes(data, max_record, whole) {
                    Some(true) => self.state = State::Plain,
                    Some(false) => {
                        self.failed.learn(data, self.delimiter, self.last_end, self.before, max_record, whole);
                        (self.pos, self.state) = (self.last_end, State::Line);
                    }
                    None => return None,
                },
                _ if self.pos >= data.len() => break,
                State::Line | State::Rest => {
                    let max = if self.state == State::Rest { usize::MAX } else { max_record };
                    match self.leave_line(data, max, whole) {
                        Ends::Stop(Stop::End { next, .. }) if next < from => {}
                        Ends::Stop(stop) => return Some(stop),
                        Ends::Unclear | Ends::Passed => return None,
                    }
                }
                State::Plain => {
                    // A record that lies within a window is not too long.
                    let window = data.len().min(self.pos + WINDOW.min(max_record).max(1));
                    let opening = self.opening_quote(&data[..window]);
                    let run = opening.unwrap_or(window);
                    match self.record_ends(data, run, from, max_record, whole) {
                        Ends::Stop(stop) => return Some(stop),
                        Ends::Unclear => return None,
                        Ends::Passed => {}
                    }
                    self.pos = run;
                    if let Some(opening) = opening {
                        if run - self.last_end >= max_record {
                            return Some(Stop::TooLong);
                        }
                        match self.failed.is_empty() {
                            true => (self.pos, self.state) = (opening + 1, State::Quoted),
                            false => self.open(data, opening, max_record, whole),
                        }
                    }
                }
            }
        }
        (self.state == State::Plain && self.pos - self.last_end > max_record).then_some(Stop::TooLong)
    }

    /// Enters the field, the shorter way where an earlier record has come along here.
    #[cold]
    fn open(&mut self, data: &[u8], opening: usize, max_record: usize, whole: bool) {
        let limit = self.last_end.saturating_add(max_record);
        let goes = match self.failed.end_of(opening) {
            None => Some((opening + 1, State::Quoted)),
            Some(End::Inside(inside)) => Some((inside, State::Quoted)),
            Some(End::Behind { quote, at }) => {
                match quotes::close_from(data, self.delimiter, quote, at, limit, whole) {
                    Close::At(behind) => Some((behind, State::Plain)),
                    Close::Unclear => Some((quote, State::Quoted)),
                    Close::Never | Close::TooLong(_) | Close::Escape => None,
                }
            }
            Some(End::At(_)) => None,
        };
        (self.pos, self.state) = goes.unwrap_or_else(|| {
            self.failed.learn(data, self.delimiter, self.last_end, self.before, max_record, whole);
            (self.last_end, State::Line)
        });
    }

    /// Goes behind the quote that closes the field: `true`. `false`: it is not closed, or not within the record's length.
    /// `None`: that is not known yet.
    fn leave_quotes(&mut self, data: &[u8], max_record: usize, whole: bool) -> Option<bool> {
        let limit = self.last_end.saturating_add(max_record);
        let end = data.len().min(limit);
        loop {
            let Some(found) = data.get(self.pos..end).and_then(|rest| memchr(b'"', rest)) else {
                if whole || data.len() > limit {
                    return Some(false);
                }
                self.pos = end;
                return None;
            };
            let quote = self.pos + found;
            // the usual way of a file that quotes every field
            if let Some([delimiter, b'"']) = data.get(quote + 1..quote + 3)
                && *delimiter == self.delimiter
                && quote + 2 < limit
                && self.failed.is_empty()
            {
                self.pos = quote + 3;
                continue;
            }
            match quotes::close(data, self.delimiter, quote, limit, whole) {
                Close::Escape => self.pos = quote + 2,
                Close::At(_) => {
                    self.pos = quote + 1;
                    return Some(true);
                }
                Close::Never | Close::TooLong(_) => return Some(false),
                Close::Unclear => {
                    self.pos = quote;
                    return None;
                }
            }
        }
    }

    /// Goes behind the next line end.
    fn leave_line(&mut self, data: &[u8], max_record: usize, whole: bool) -> Ends {
        let found = memchr2(b'\n', b'\r', &data[self.pos..]);
        let record = found.map_or(data.len(), |found| self.pos + found);
        self.pos = record;
        if record - self.last_end > max_record {
            return Ends::Stop(Stop::TooLong);
        }
        if found.is_none() {
            return Ends::Passed;
        }
        let next = match (data[record], data.get(record + 1)) {
            (b'\r', Some(b'\n')) => record + 2,
            (b'\r', None) if !whole => return Ends::Unclear,
            _ => record + 1,
        };
        (self.pos, self.last_end, self.state) = (next, next, State::Plain);
        Ends::Stop(Stop::End { record, next })
    }

    fn opening_quote(&self, data: &[u8]) -> Option<usize> {
        if self.format == Format::Ndjson {
            return None;
        }
        let mut from = self.pos;
        loop {
            let quote = from + memchr(b'"', &data[from..])?;
            if quotes::opens(data, self.delimiter, quote, self.before) {
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
