//! Where a file's records begin, and by what its fields are separated: told by its first lines while they arrive.
//!
//! The header is the first line that names all columns of the kind when it is cut by one of the delimiters: names are better
//! evidence than how often a character stands somewhere. What stands before it is the preamble of a report, or the line
//! `sep=` that Excel reads.

mod lines;
mod told;

pub(crate) use lines::Lines;
pub(crate) use told::mark;
pub use told::{NoHeader, Why};

use crate::{
    Delimiter, Format, Kind, Limits, LineCount, Profile, Reading, Said, Start, Values,
    columns::{Resolved, resolve},
    lines::BYTE_ORDER_MARK,
    names,
    records::Records,
};
use lines::{Line, json, sep};
use memchr::memchr2;

/// Lines among which a header is looked for.
const LINES: u64 = 30;
/// Bytes of them, beside the header's own.
const BYTES: usize = 256 << 10;
/// So much more of them is to come before they are looked at again…
const STEP: usize = 4 << 10;
/// …or this share of what has come, if that is more: whatever they are pushed by, they are looked at some dozens of times.
const SHARE: usize = 4;

/// The header of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// So many bytes of the text stand before it.
    pub skip: u64,
    /// The line it begins on, from 1.
    pub line: u64,
    /// What separates its names.
    pub delimiter: Delimiter,
    /// For each column of the kind, in the kind's order, its place in the file.
    pub places: Vec<Option<usize>>,
    /// What the file calls its columns, without what nobody sees at the ends.
    pub names: Vec<String>,
    /// A line `sep=` stands before it.
    pub sep_line: bool,
    /// The client's profile that it has chosen.
    pub profile: Option<Box<Profile>>,
    /// It is as [`Kind::read_header`] reads it, and nothing but empty lines stands before it.
    pub is_plain: bool,
}

impl Header {
    /// Where the splitter begins.
    pub fn start(&self) -> Start {
        Start { format: Format::Csv(self.delimiter), skip: self.skip }
    }

    /// How it and the records are read.
    pub fn reading(&self, values: Values) -> Reading {
        let places = if self.is_plain { None } else { Some(self.places.clone()) };
        Reading { delimiter: self.delimiter, values, places }
    }

    /// What is the same in files with the same columns, in the same order.
    pub fn fingerprint(&self) -> [u8; 32] {
        names::fingerprint(&self.names)
    }
}

/// What the beginning of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// More of it is needed.
    More,
    /// A header, then records.
    Csv(Header),
    /// Lines of JSON: [`Splitter::new`](crate::Splitter::new) finds where they begin.
    Ndjson,
    /// Nothing but empty lines.
    Empty,
}

/// Looks at the first lines of a file's text. It holds 256 KiB and one record at most, beside what was pushed last; of the empty
/// lines that the text begins with it holds their number.
#[derive(Debug)]
pub struct Preface {
    kind: Kind,
    said: Said,
    /// Those that the header may choose.
    profiles: Vec<Profile>,
    limits: Limits,
    /// The text, without the empty lines that it begins with.
    held: Vec<u8>,
    /// Nothing but these has come, and a byte order mark.
    is_empty: bool,
    /// Bytes of them…
    skipped: u64,
    /// …and how many they are.
    lines: LineCount,
    /// A line has ended that was not looked at.
    has_ended: bool,
    /// So much is to be held before they are looked at.
    next: usize,
    /// How many lines were looked at.
    #[cfg(test)]
    looked: std::cell::Cell<usize>,
}

/// A line that could be the header, cut by a delimiter.
#[derive(Debug)]
struct Candidate {
    at: usize,
    line: u64,
    /// Where its record ends.
    end: usize,
    delimiter: Delimiter,
    names: Vec<String>,
    /// The one that its names choose.
    profile: Option<Profile>,
    resolved: Resolved,
}

/// A line of more columns than are allowed.
#[derive(Debug, Clone, Copy)]
struct TooWide {
    line: u64,
    delimiter: Delimiter,
    columns: usize,
}

impl Preface {
    /// At the start of a file of this kind.
    pub fn new(kind: Kind, said: Said, limits: Limits) -> Self {
        Self {
            kind,
            said,
            profiles: Vec::new(),
            limits,
            held: Vec::new(),
            is_empty: true,
            skipped: 0,
            lines: LineCount::default(),
            has_ended: false,
            next: 0,
            #[cfg(test)]
            looked: std::cell::Cell::default(),
        }
    }

    /// The same, where the header may choose one of these.
    #[must_use]
    pub fn knowing(self, profiles: Vec<Profile>) -> Self {
        Self { profiles, ..self }
    }

    /// The profile of a header that is cut by this: one that says nothing else than was said.
    fn chosen(&self, names: &[String], delimiter: Delimiter) -> Option<&Profile> {
        if self.profiles.is_empty() {
            return None;
        }
        let fingerprint = Some(names::fingerprint(names));
        let is_it = |profile: &&Profile| {
            profile.header == fingerprint
                && profile.said.delimiter.is_none_or(|said| said == delimiter)
                && self.said.agrees(profile)
        };
        self.profiles.iter().find(is_it)
    }

    /// Takes the next bytes of the text. The same bytes have the same outcome, however they are pushed; behind it no more are to
    /// be pushed.
    ///
    /// # Errors
    /// No line is a header of the kind, or it can be read in two ways.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Found, Box<NoHeader>> {
        let bytes = self.skip_empty(bytes);
        self.held.extend_from_slice(bytes);
        // only a line that has ended can be a header
        self.has_ended |= memchr2(b'\n', b'\r', bytes).is_some();
        let is_due = self.is_full() || self.has_ended && self.held.len() >= self.next;
        if !is_due {
            return Ok(Found::More);
        }
        self.has_ended = false;
        self.next = self.held.len() + STEP.max(self.held.len() / SHARE);
        self.look(false)
    }

    /// The file is over.
    ///
    /// # Errors
    /// As those of `push`.
    pub fn finish(&mut self) -> Result<Found, Box<NoHeader>> {
        self.look(true)
    }

    /// What was pushed, without the empty lines before the first that is none.
    pub fn into_held(self) -> Vec<u8> {
        self.held
    }

    /// How many bytes and lines those are.
    pub fn skipped(&self) -> (u64, u64) {
        (self.skipped, self.lines.lines())
    }

    /// Takes the byte order mark, and the empty lines off, that the text begins with.
    fn skip_empty<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while let (true, Some((byte, rest))) = (self.is_empty, bytes.split_first()) {
            let marked = self.held.len();
            if self.skipped == 0 && BYTE_ORDER_MARK.get(marked) == Some(byte) {
                self.held.push(*byte);
                bytes = rest;
            } else if marked == 0 || marked == BYTE_ORDER_MARK.len() {
                let empty = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                self.lines.push(&bytes[..empty]);
                self.skipped += empty as u64;
                bytes = &bytes[empty..];
                self.is_empty = bytes.is_empty();
            } else {
                self.is_empty = false;
            }
        }
        bytes
    }

    fn is_full(&self) -> bool {
        self.held.len() >= self.most()
    }

    fn most(&self) -> usize {
        BYTES.saturating_add(self.limits.max_record_bytes)
    }

    fn look(&self, over: bool) -> Result<Found, Box<NoHeader>> {
        let text = &self.held[..self.held.len().min(self.most())];
        let whole = over || self.is_full();
        if !whole && text.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(text) {
            return Ok(Found::More);
        }
        let mut lines = Lines::from(text, self.lines.line());
        let Some(first) = lines.next() else { return Ok(if over { Found::Empty } else { Found::More }) };
        match json(&text[first.at..], self.limits.max_record_bytes) {
            Some(true) => return Ok(Found::Ndjson),
            None if !whole => return Ok(Found::More),
            Some(false) | None => {}
        }
        let mut search =
            Search { preface: self, text, whole, open: false, hits: Vec::new(), others: Vec::new(), too_wide: None };
        let sep = sep(&text[first.at..], whole);
        let last = self.said.header_line.unwrap_or(first.line + LINES - 1);
        let mut looked = 0;
        let mut ended = false;
        for line in std::iter::once(first).chain(lines) {
            if line.line > last || search.hits.iter().any(|hit| hit.end <= line.at) {
                ended = true;
                break;
            }
            looked = line.line;
            if self.said.header_line.is_none_or(|said| said == line.line) {
                search.line(line);
            }
        }
        if let Some(hit) = search.best_hit() {
            return self.found(&search, hit, first, sep);
        }
        match whole || ended && !search.open {
            true => Err(Box::new(self.none(&search, looked, ended))),
            false => Ok(Found::More),
        }
    }

    /// A line names all columns.
    fn found(
        &self,
        search: &Search<'_>,
        hit: &Candidate,
        first: Line,
        sep: Option<&[u8]>,
    ) -> Result<Found, Box<NoHeader>> {
        let (mut hit, ways) = (hit, search.same_as(hit));
        if self.said.delimiter.is_none() && sep.is_some() && hit.line > first.line {
            let sep = sep.unwrap_or_default();
            match ways.iter().find(|way| [way.delimiter.byte()] == *sep) {
                Some(way) => hit = way,
                None => return Err(told::wrong_sep(first.line, sep, hit)),
            }
        } else if ways.len() > 1 {
            return Err(told::two_delimiters(&ways));
        }
        let Candidate { resolved, names, profile, .. } = hit;
        if !resolved.duplicate.is_empty() {
            return Err(Box::new(told::header(self.kind, hit, |error| {
                error.duplicate.clone_from(&resolved.duplicate);
            })));
        }
        if let Some(question) = resolved.question(hit.line) {
            return Err(told::asks(question, hit));
        }
        let is_first = hit.at == first.at;
        Ok(Found::Csv(Header {
            skip: self.skipped + hit.at as u64,
            line: hit.line,
            delimiter: hit.delimiter,
            places: resolved.places.clone(),
            names: names.clone(),
            sep_line: sep.is_some() && !is_first,
            profile: profile.clone().map(Box::new),
            is_plain: resolved.plain && is_first && hit.delimiter == Delimiter::Comma,
        }))
    }

    /// No line does.
    fn none(&self, search: &Search<'_>, looked: u64, ended: bool) -> NoHeader {
        if let Some(line) = self.said.header_line.filter(|line| *line > looked) {
            return told::no_such_line(self.kind, line);
        }
        let needed = self.kind.needed_columns().len();
        let most = search.others.iter().map(|other| other.resolved.found()).max().unwrap_or(0);
        let likely = |other: &&Candidate| other.resolved.found() == most && most >= 2 && 2 * most >= needed;
        let other_delimiter = |other: &&Candidate| {
            other.resolved.names_all() && self.said.delimiter.is_some_and(|said| said != other.delimiter)
        };
        let widest = |candidates: &[&Candidate]| candidates.iter().map(|other| other.names.len()).max().unwrap_or(0);
        let first: Vec<&Candidate> = match search.others.first() {
            Some(first) => search.others.iter().take_while(|other| other.at == first.at).collect(),
            None => Vec::new(),
        };
        if let (Some(other), Some(said)) = (search.others.iter().find(other_delimiter), self.said.delimiter) {
            told::other_delimiter(self.kind, other, said)
        } else if let Some(like) = search.others.iter().find(likely) {
            told::lacking(self.kind, like)
        } else if let Some(too_wide) = search.too_wide {
            told::too_wide(self.kind, too_wide, self.limits.max_columns)
        } else if ended && self.said.header_line.is_none() {
            told::none_of(self.kind, first.first().copied(), looked)
        } else if let Some(first) = first.iter().find(|other| other.names.len() == widest(&first)) {
            told::lacking(self.kind, first)
        } else {
            told::no_record(self.kind, search.text, &self.limits)
        }
        .with_json(search.text)
    }
}

/// What the lines are.
struct Search<'t> {
    preface: &'t Preface,
    text: &'t [u8],
    whole: bool,
    /// A record does not end in the text.
    open: bool,
    /// Those that name all columns.
    hits: Vec<Candidate>,
    others: Vec<Candidate>,
    /// The first one of more columns than are allowed.
    too_wide: Option<TooWide>,
}

impl Search<'_> {
    fn line(&mut self, line: Line) {
        let Preface { kind, said, limits, .. } = self.preface;
        let text = &self.text[line.at..];
        #[cfg(test)]
        self.preface.looked.set(self.preface.looked.get() + 1);
        for &delimiter in Delimiter::ALL {
            let mut records = Records::new(text, line.line).delimited_by(delimiter).at_most(limits.max_record_bytes);
            let Some(record) = records.next_record() else { continue };
            let end = record.raw.len();
            let too_long = text.len() > limits.max_record_bytes;
            if !self.whole && (end == text.len() || record.is_open() && !too_long) {
                self.open = true;
                continue;
            }
            if record.is_broken() || end > limits.max_record_bytes {
                continue;
            }
            let is_asked = said.delimiter.is_none_or(|said| said == delimiter);
            // so many names would be made again with every look
            if record.columns() > limits.max_columns {
                let found = TooWide { line: line.line, delimiter, columns: record.columns() };
                self.too_wide = self.too_wide.or(is_asked.then_some(found));
                continue;
            }
            let names = names::of(&record);
            let profile = self.preface.chosen(&names, delimiter).cloned();
            let columns = match &profile {
                Some(profile) if said.columns.is_empty() => &profile.said.columns,
                _ => &said.columns,
            };
            let resolved = resolve(*kind, &names, columns);
            let (at, end) = (line.at, line.at + end);
            let candidate = Candidate { at, line: line.line, end, delimiter, names, profile, resolved };
            match is_asked && candidate.resolved.names_all() {
                true => self.hits.push(candidate),
                false => self.others.push(candidate),
            }
        }
    }

    /// The one that ends first, however long it was waited.
    fn best_hit(&self) -> Option<&Candidate> {
        self.hits.iter().min_by_key(|hit| (hit.end, hit.at))
    }

    /// All ways to cut this one so that it names all columns.
    fn same_as(&self, hit: &Candidate) -> Vec<&Candidate> {
        self.hits.iter().filter(|other| (other.at, other.end) == (hit.at, hit.end)).collect()
    }
}

#[cfg(test)]
mod tests;
