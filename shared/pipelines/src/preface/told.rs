//! What is said of a file whose beginning is no header.

use std::fmt;

use super::{Candidate, TooWide};
use crate::{
    Delimiter, Example, HeaderError, Kind, Limits, Looked, Over, Question, hint,
    names::{self, shown},
};

/// A file without a header of its kind, or with one that reads in two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoHeader {
    /// What is wrong.
    pub why: Why,
    /// What the line that is most like a header names; empty where none is.
    pub names: Vec<String>,
}

/// What is wrong with the beginning of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// There is no header.
    Wrong(HeaderError),
    /// There is one, and something is to be said.
    Asks(Question),
}

impl NoHeader {
    /// By what a client's profile for such files is found.
    pub fn fingerprint(&self) -> [u8; 32] {
        names::fingerprint(&self.names)
    }

    /// The same, if the file is one of JSON over several lines.
    pub(super) fn with_json(mut self, text: &[u8]) -> Self {
        if let (Why::Wrong(error), Some(hint)) = (&mut self.why, hint::json(text)) {
            error.guess.hint = Some(hint);
        }
        self
    }
}

impl fmt::Display for NoHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Wrong(error) => error.fmt(f),
            Why::Asks(question) => question.fmt(f),
        }
    }
}

impl std::error::Error for NoHeader {}

/// A line that is not the header, for what `is` says.
pub(super) fn header(kind: Kind, line: &Candidate, is: impl FnOnce(&mut HeaderError)) -> NoHeader {
    let mut error = HeaderError::of(kind.needed_columns());
    error.guess.delimiter = line.delimiter;
    error.guess.looked = Some(Looked::Line(line.line));
    is(&mut error);
    error.look_for(kind, &line.names);
    NoHeader { why: Why::Wrong(error), names: line.names.clone() }
}

/// The line that is most like a header.
pub(super) fn lacking(kind: Kind, line: &Candidate) -> NoHeader {
    header(kind, line, |error| {
        error.missing.clone_from(&line.resolved.missing);
        error.guess.hint = line.resolved.not_there.as_ref().map(|what| {
            let names: Vec<String> = line.names.iter().take(50).map(|name| shown(name)).collect();
            format!("{what}; the header has: {}", names.join(", "))
        });
    })
}

/// A line has more columns than are allowed, and no other one is a header.
pub(super) fn too_wide(kind: Kind, line: TooWide, limit: usize) -> NoHeader {
    let TooWide { line, delimiter, columns } = line;
    let mut error = HeaderError::of(kind.needed_columns());
    error.guess.delimiter = delimiter;
    error.guess.looked = Some(Looked::Line(line));
    error.over = Some(Over::Columns { found: columns, limit });
    NoHeader { why: Why::Wrong(error), names: Vec::new() }
}

/// Nothing is like one.
pub(super) fn none_of(kind: Kind, first: Option<&Candidate>, lines: u64) -> NoHeader {
    let mut error = HeaderError::of(kind.needed_columns());
    error.missing = kind.needed_columns().to_vec();
    error.guess.looked = Some(Looked::Lines(lines));
    NoHeader { why: Why::Wrong(error), names: first.map(|first| first.names.clone()).unwrap_or_default() }
}

/// Not one record is there that can be read.
pub(super) fn no_record(kind: Kind, text: &[u8], limits: &Limits) -> NoHeader {
    let mut told = none_of(kind, None, 1);
    if let Why::Wrong(error) = &mut told.why {
        error.guess.looked = Some(Looked::Line(1));
        let over = text.len() > limits.max_record_bytes;
        error.over = over.then_some(Over::Bytes { limit: limits.max_record_bytes });
        error.guess.broken = !over;
    }
    told
}

/// The line that was said to be the header is not there.
pub(super) fn no_such_line(kind: Kind, line: u64) -> NoHeader {
    let mut told = none_of(kind, None, line);
    if let Why::Wrong(error) = &mut told.why {
        error.guess.hint = Some(format!("line {line}, which header_line= says, is empty or not there"));
    }
    told
}

/// The file is separated by another one than was said.
pub(super) fn other_delimiter(kind: Kind, line: &Candidate, said: Delimiter) -> NoHeader {
    header(kind, line, |error| {
        error.missing = kind.needed_columns().to_vec();
        error.guess.delimiter = said;
        let (found, line) = (line.delimiter, line.line);
        error.guess.hint = Some(format!("you said delimiter={said}; with {found}s line {line} is the header"));
    })
}

pub(super) fn asks(question: Question, line: &Candidate) -> Box<NoHeader> {
    Box::new(NoHeader { why: Why::Asks(question), names: line.names.clone() })
}

/// The header names all columns in two ways.
pub(super) fn two_delimiters(ways: &[&Candidate]) -> Box<NoHeader> {
    let marks: Vec<&str> = ways.iter().map(|way| mark(way.delimiter)).collect();
    let choices: Vec<String> = ways.iter().map(|way| way.delimiter.to_string()).collect();
    let sentence = format!(
        "The header can be read with {}: send delimiter={}.",
        marks.join(" and with "),
        choices.join(" or delimiter=")
    );
    let examples = ways.iter().take(1).map(|way| example(way)).collect();
    asks(Question { parameter: "delimiter", choices, examples, sentence }, ways[0])
}

/// A line `sep=` says another one than separates the header.
pub(super) fn wrong_sep(sep_line: u64, sep: &[u8], header: &Candidate) -> Box<NoHeader> {
    let says: String = shown(&String::from_utf8_lossy(sep)).chars().take(8).collect();
    let sentence = format!(
        "Line {sep_line} says sep={says} and the header is separated by {}: remove line {sep_line}, or send delimiter=.",
        mark(header.delimiter)
    );
    let choices = vec![header.delimiter.to_string()];
    asks(Question { parameter: "delimiter", choices, examples: vec![example(header)], sentence }, header)
}

fn example(line: &Candidate) -> Example {
    let value = shown(&line.names.join(mark_char(line.delimiter))).chars().take(60).collect();
    Example { line: line.line, value }
}

fn mark_char(delimiter: Delimiter) -> &'static str {
    match delimiter {
        Delimiter::Comma => ",",
        Delimiter::Semicolon => ";",
        Delimiter::Tab => "\t",
        Delimiter::Pipe => "|",
    }
}

/// For people.
pub(crate) fn mark(delimiter: Delimiter) -> &'static str {
    match delimiter {
        Delimiter::Comma => "','",
        Delimiter::Semicolon => "';'",
        Delimiter::Tab => "a tab",
        Delimiter::Pipe => "'|'",
    }
}
