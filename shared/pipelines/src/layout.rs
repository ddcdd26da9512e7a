//! The header record: which column of the file is which column of the kind.

use std::fmt;

use crate::{
    Delimiter, Format, Kind, Reading, Values,
    columns::{called, pair},
    fields::trim_bytes,
    hint::hint,
    lines::BYTE_ORDER_MARK,
    names::{self, nearest, shown},
    records::{Record, Records},
};

/// Where a file has the columns of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(crate) format: Format,
    /// The kind's columns.
    pub(crate) columns: &'static [&'static str],
    /// Which of them are amounts.
    pub(crate) amounts: &'static [usize],
    /// For each column of the kind, in the kind's order: its place in the file.
    pub(crate) places: Vec<usize>,
    /// Columns of the file.
    pub(crate) width: usize,
    /// Columns up to the last one that has a name.
    named: usize,
    /// No column of the kind may be missing: a delimiter too many inside of a record shows, whatever stands at its end.
    fixed: bool,
    /// What the file calls its columns, where their places were said.
    pub(crate) names: Vec<String>,
    /// How its amounts and dates are written.
    pub(crate) values: Values,
}

/// What a header may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Columns, those that are ignored included.
    pub max_columns: usize,
    /// Bytes.
    pub max_record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_columns: 1_000, max_record_bytes: 1 << 20 }
    }
}

impl Limits {
    /// For a header that has passed the limits before.
    pub fn unbounded() -> Self {
        Self { max_columns: usize::MAX, max_record_bytes: usize::MAX }
    }
}

/// A header that does not fit the kind: the file cannot be read. Says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct HeaderError {
    /// Columns that the kind needs and the header does not name.
    pub missing: Vec<&'static str>,
    /// Columns of the kind that the header names more than once.
    pub duplicate: Vec<&'static str>,
    /// What may have been meant.
    pub guess: Box<Guess>,
    /// What the header names, trimmed, what nobody sees shown by its number; at most 50 names of at most 60 characters.
    pub found: Vec<String>,
    /// A limit that the header exceeds; the rest was not looked at then.
    pub over: Option<Over>,
    /// What the kind needs.
    pub expected: &'static [&'static str],
}

/// What a header that is none may have meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guess {
    /// For some of what is missing: the name in the header that may mean it.
    pub like: Vec<(&'static str, String)>,
    /// What the file looks like instead, and what to do.
    pub hint: Option<String>,
    /// Its quotes are not where they may be, so that it was not taken apart.
    pub broken: bool,
    /// By what it was taken apart.
    pub delimiter: Delimiter,
    /// Where it was looked for; `None`: it had to be the first line.
    pub looked: Option<Looked>,
}

/// Where a header was looked for by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// This line is most like one, or was said to be it.
    Line(u64),
    /// None of the first so many lines is like one.
    Lines(u64),
}

/// A limit that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// `max_columns`.
    Columns {
        /// How many there are.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// `max_record_bytes`.
    Bytes {
        /// How many are allowed.
        limit: usize,
    },
}

impl Layout {
    /// The place of a column that the file does not have, and need not.
    pub(crate) const ABSENT: usize = usize::MAX;

    pub(crate) fn read(kind: Kind, record: &[u8], reading: &Reading, limits: &Limits) -> Result<Self, HeaderError> {
        let (columns, amounts, optional) = (kind.columns(), kind.amounts(), kind.optional_columns());
        let expected = kind.needed_columns();
        if record.is_empty() {
            let places = (0..columns.len()).collect();
            let width = columns.len();
            let (format, names, values) = (Format::Ndjson, Vec::new(), reading.values);
            return Ok(Self { format, columns, amounts, places, width, named: width, fixed: false, names, values });
        }
        let record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
        let mut error = HeaderError::of(expected);
        error.guess.delimiter = reading.delimiter;
        if record.len() > limits.max_record_bytes {
            error.over = Some(Over::Bytes { limit: limits.max_record_bytes });
            return Err(error);
        }
        let mut records = Records::new(record, 1).delimited_by(reading.delimiter);
        let header = records.next_record();
        error.guess.broken = header.as_ref().is_some_and(Record::is_broken);
        let width = header.as_ref().map_or(0, |header| header.columns());
        let names = header.as_ref().map(names::of).unwrap_or_default();
        if width > limits.max_columns {
            error.over = Some(Over::Columns { found: width, limit: limits.max_columns });
        }
        let mut places = Vec::with_capacity(columns.len());
        for (n, column) in columns.iter().enumerate() {
            let (found, again) = match &reading.places {
                Some(places) => (places.get(n).copied().flatten().filter(|place| *place < width), false),
                None => called(column, &names),
            };
            match found {
                Some(place) => places.push(place),
                None if n >= expected.len() => places.push(Self::ABSENT),
                None => error.missing.push(column),
            }
            if again {
                error.duplicate.push(column);
            }
        }
        if error.over.is_none() && error.missing.is_empty() && error.duplicate.is_empty() {
            let named = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            let format = Format::Csv(reading.delimiter);
            let names = if reading.places.is_some() { names } else { Vec::new() };
            let (fixed, values) = (optional == 0, reading.values);
            return Ok(Self { format, columns, amounts, places, width, named, fixed, names, values });
        }
        error.look_for(kind, &names);
        Err(error)
    }

    /// Whether a record without as many fields as the header has all that are named, and nothing but blanks behind the
    /// header's: spreadsheets write such fields. Where a column may be missing such a record could have a delimiter in
    /// a field.
    #[cold]
    pub(crate) fn has_room_for(&self, record: &Record<'_>) -> bool {
        let surplus = || record.fields().skip(self.width).all(|field| trim_bytes(field).is_empty());
        let named = record.columns() >= self.named && (record.columns() <= self.width || self.fixed);
        matches!(self.format, Format::Csv(_)) && !record.is_broken() && named && surplus()
    }

    /// How the file is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How its amounts and dates are written.
    pub fn values(&self) -> Values {
        self.values
    }

    /// Columns of the file, those that are ignored included.
    pub fn width(&self) -> usize {
        self.width
    }
}

impl HeaderError {
    pub(crate) fn of(expected: &'static [&'static str]) -> Self {
        Self { missing: vec![], duplicate: vec![], guess: Box::default(), found: vec![], over: None, expected }
    }

    /// Says what the header names, and which of it may be what is missing.
    pub(crate) fn look_for(&mut self, kind: Kind, names: &[String]) {
        let short = |name: &str| shown(name).chars().take(60).collect::<String>();
        let like = |column: &&'static str| Some((*column, short(nearest(kind, column, names)?)));
        self.guess.like = self.missing.iter().filter_map(like).collect();
        self.found = names.iter().take(50).map(|name| short(name)).collect();
    }

    /// The same, with what the beginning of the file tells of the reason.
    #[must_use]
    pub fn explained_by(mut self, head: &[u8]) -> Self {
        if self.over.is_none() && !self.missing.is_empty() {
            self.guess.hint = hint(head, self.expected);
        }
        self
    }

    fn lacks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = match self.guess.looked {
            Some(Looked::Line(line @ 2..)) => format!("the header on line {line}"),
            _ => "the header".to_owned(),
        };
        if !self.missing.is_empty() {
            write!(f, "{header} lacks {}", self.missing.join(", "))?;
        }
        if !self.duplicate.is_empty() {
            let also = if self.missing.is_empty() { header.as_str() } else { " and" };
            write!(f, "{also} names more than once: {}", self.duplicate.join(", "))?;
        }
        write!(f, "; it has: {}.", self.found.join(", "))?;
        for (n, (column, name)) in self.guess.like.iter().enumerate() {
            write!(f, "{}{name} for {column}", if n == 0 { " Did you mean " } else { ", " })?;
        }
        match &self.guess.like[..] {
            [] => Ok(()),
            like if self.guess.looked.is_some() => {
                let columns: Vec<String> = like.iter().map(|(column, name)| pair(column, name)).collect();
                write!(f, "? Send columns={}.", columns.join(","))
            }
            _ => f.write_str("?"),
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.over {
            Some(Over::Bytes { limit }) => {
                return write!(
                    f,
                    "the header is longer than {limit} bytes (max_record_bytes): is the file a CSV file, \
                     and is every quote of its first line closed?"
                );
            }
            Some(Over::Columns { found, limit }) => {
                return write!(f, "the header has {found} columns, at most {limit} are allowed (max_columns)");
            }
            None => {}
        }
        if let (Some(Looked::Lines(lines)), None) = (self.guess.looked, &self.guess.hint) {
            let columns = self.expected.join(", ");
            return write!(f, "None of the first {lines} lines names the columns {columns}: send header_line=.");
        }
        match &self.guess.hint {
            Some(hint) => write!(f, "{hint}.")?,
            None if self.guess.broken => write!(
                f,
                "a quote of the header is not closed, or something else than a {} follows the one that closes it.",
                self.guess.delimiter
            )?,
            None => self.lacks(f)?,
        }
        if self.guess.looked.is_some() {
            write!(
                f,
                " A header names the columns {}, each once, in any order and capitalisation; further columns are ignored.",
                self.expected.join(", "),
            )?;
        } else {
            write!(
                f,
                " The first line must name the columns {}, separated by {}s, each once, in any order and capitalisation; \
             further columns are ignored.",
                self.expected.join(", "),
                self.guess.delimiter,
            )?;
        }
        match self.found.first() {
            Some(first) if first.starts_with('[') && self.guess.hint.is_none() => {
                f.write_str(" A file of JSON has one object a line, or is an array of objects.")
            }
            _ => Ok(()),
        }
    }
}
