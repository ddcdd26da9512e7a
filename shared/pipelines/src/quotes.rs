//! What opens a quoted field and what closes it: the one place that says so, for who cuts a file and for who reads it.
//!
//! A field is quoted where a quote stands at its start or behind blanks there. Inside, `""` is a quote. The quote that
//! closes is followed by a delimiter, a line end or the end of the file, with or without blanks before them; one that is
//! followed by anything else closes nothing, and no guess is made of what was meant: the record is not read. A tab is a
//! blank, unless it is the delimiter.

use std::collections::HashSet;

use memchr::{memchr, memchr3};

/// What a quote inside a quoted field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// The first of two, which stand for one.
    Escape,
    /// The end of the field: what follows the field stands here.
    At(usize),
    /// Neither, so the field has no valid end.
    Never,
    /// Blanks follow up to here, where the record is as long as it may be: one that starts later may reach farther.
    TooLong(usize),
    /// That depends on bytes that have not come yet.
    Unclear,
}

#[inline]
pub(crate) fn is_blank(byte: u8, delimiter: u8) -> bool {
    matches!(byte, b' ' | b'\t') && byte != delimiter
}

/// What the quote at `quote`, inside a quoted field, is. The record's bytes stand before `limit`; `whole`: no byte follows.
#[inline]
pub(crate) fn close(data: &[u8], delimiter: u8, quote: usize, limit: usize, whole: bool) -> Close {
    close_from(data, delimiter, quote, quote + 1, limit, whole)
}

/// As [`close`], where nothing but blanks stands between the quote and `at`.
#[inline]
pub(crate) fn close_from(data: &[u8], delimiter: u8, quote: usize, mut at: usize, limit: usize, whole: bool) -> Close {
    loop {
        match data.get(at) {
            Some(byte) if ends_field(*byte, delimiter) => return Close::At(at),
            Some(b'"') if at == quote + 1 => return Close::Escape,
            Some(blank) if is_blank(*blank, delimiter) && at < limit => at += 1,
            Some(blank) if is_blank(*blank, delimiter) => return Close::TooLong(at),
            Some(_) => return Close::Never,
            None if whole => return Close::At(at),
            None => return Close::Unclear,
        }
    }
}

/// Whether the byte ends a field outside of quotes, and so stands before the next one.
#[inline]
fn ends_field(byte: u8, delimiter: u8) -> bool {
    byte == delimiter || matches!(byte, b'\n' | b'\r')
}

/// Whether a quote outside of quotes opens a field. `before`: the byte before the data.
#[inline]
pub(crate) fn opens(data: &[u8], delimiter: u8, quote: usize, before: u8) -> bool {
    let last = match data[..quote].last() {
        Some(byte) if is_blank(*byte, delimiter) => {
            data[..quote].iter().rev().find(|byte| !is_blank(**byte, delimiter)).copied().unwrap_or(before)
        }
        Some(byte) => *byte,
        None => before,
    };
    ends_field(last, delimiter)
}

/// How a walk along a record came to no valid end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The quote that stands here closes nothing.
    At(usize),
    /// Here, inside of quotes, the record was as long as it may be, or the data ended.
    Inside(usize),
    /// Here, in the blanks behind this quote, the record was as long as it may be.
    Behind { quote: usize, at: usize },
}

/// Quotes that opened fields of broken records, and what that led to. A record that opens a field at one of them goes the
/// same way, so nothing is walked along again and again: without this, a file of a million lines that each open what the
/// next one closes would cost a million times the length of a record.
///
/// Between two quotes a walk is inside of a field or not, so that at any place there are two ways at most.
#[derive(Debug, Default)]
pub(crate) struct FailedQuotes {
    ways: Vec<Way>,
}

#[derive(Debug)]
struct Way {
    openings: HashSet<usize>,
    end: End,
    /// How many openings there were when those that are behind were dropped.
    kept: usize,
}

impl FailedQuotes {
    /// Whether nothing is known.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// What becomes of the field that this quote opens, if that is known.
    #[cold]
    pub(crate) fn end_of(&self, opening: usize) -> Option<End> {
        self.way(opening).map(|way| self.ways[way].end)
    }

    fn way(&self, opening: usize) -> Option<usize> {
        self.ways.iter().position(|way| way.openings.contains(&opening))
    }

    /// The record that starts at `start` is broken: finds out how, and remembers it. `whole` as for [`close`].
    #[cold]
    pub(crate) fn learn(
        &mut self,
        data: &[u8],
        delimiter: u8,
        start: usize,
        before: u8,
        max_record: usize,
        whole: bool,
    ) -> Option<End> {
        let limit = start.saturating_add(max_record);
        let (mut at, mut openings, mut known) = (start, Vec::new(), None);
        let end = loop {
            let opening = at + memchr(b'"', data.get(at..)?)?;
            at = opening + 1;
            if !opens(data, delimiter, opening, before) {
                continue;
            }
            let so_far = if let Some(way) = self.way(opening) {
                known = Some(way);
                self.ways[way].end
            } else {
                openings.push(opening);
                End::Inside(at)
            };
            match go_on(data, delimiter, so_far, limit, whole) {
                Ok(behind) => at = behind,
                Err(end) => break end,
            }
        };
        let way = known.unwrap_or_else(|| self.new_way());
        let way = &mut self.ways[way];
        way.end = end;
        way.openings.extend(openings);
        if way.openings.len() > 2 * way.kept + 64 {
            way.openings.retain(|opening| *opening >= start);
            way.kept = way.openings.len();
        }
        Some(end)
    }

    /// Room for another way: that of the one that ended first.
    fn new_way(&mut self) -> usize {
        let place = |way: &Way| match way.end {
            End::At(place) | End::Inside(place) | End::Behind { at: place, .. } => place,
        };
        if self.ways.len() == 2 {
            let first = usize::from(place(&self.ways[1]) < place(&self.ways[0]));
            self.ways.swap_remove(first);
        }
        self.ways.push(Way { openings: HashSet::new(), end: End::At(0), kept: 0 });
        self.ways.len() - 1
    }
}

/// Whether a record that goes the way of an earlier one comes to a valid end behind the end of that.
pub(crate) fn ends_well(data: &[u8], delimiter: u8, mut end: End, limit: usize) -> bool {
    while let Ok(mut at) = go_on(data, delimiter, end, limit, true) {
        loop {
            let Some(found) = memchr3(b'"', b'\n', b'\r', &data[at..]) else { return true };
            let found = at + found;
            if data[found] != b'"' || found >= limit {
                return true;
            }
            at = found + 1;
            if opens(data, delimiter, found, b'\n') {
                end = End::Inside(at);
                break;
            }
        }
    }
    false
}

/// Behind the quoted field in which an earlier, or the same, record's walk ended.
fn go_on(data: &[u8], delimiter: u8, end: End, limit: usize, whole: bool) -> Result<usize, End> {
    match end {
        End::At(_) => Err(end),
        End::Inside(at) => closed(data, delimiter, at, limit, whole),
        End::Behind { quote, at } => match close_from(data, delimiter, quote, at, limit, whole) {
            Close::At(behind) => Ok(behind),
            Close::TooLong(at) => Err(End::Behind { quote, at }),
            Close::Never => Err(End::At(quote)),
            Close::Escape | Close::Unclear => Err(End::Inside(quote)),
        },
    }
}

/// Behind the quote that closes the field, inside of which `at` is.
fn closed(data: &[u8], delimiter: u8, mut at: usize, limit: usize, whole: bool) -> Result<usize, End> {
    let searched = data.len().min(limit);
    loop {
        let Some(found) = data.get(at..searched).and_then(|rest| memchr(b'"', rest)) else {
            return Err(End::Inside(at.max(searched)));
        };
        let quote = at + found;
        match close(data, delimiter, quote, limit, whole) {
            Close::Escape => at = quote + 2,
            Close::At(_) => return Ok(quote + 1),
            Close::Never => return Err(End::At(quote)),
            Close::TooLong(at) => return Err(End::Behind { quote, at }),
            Close::Unclear => return Err(End::Inside(quote)),
        }
    }
}
