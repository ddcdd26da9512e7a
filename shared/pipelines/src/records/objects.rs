//! From lines of JSON to records. A record's fields are the kind's columns in their order: what the line's object has
//! under these names, in any capitalisation. A text is the field as it says, a number as it is written
//! (an amount's exponent is worked out, and three decimals are no thousands; its point is one whatever mark the file's texts
//! have), null is none.

use std::fmt;

use memchr::{memchr, memchr2};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Record, Records, Span};
use crate::{
    Decimal, Layout, ReasonCode,
    fields::plain_number,
    names::same,
    reject::{Fault, excerpt},
};

/// Reads the objects of a run of bytes that starts at the start of a line.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    lines: Records<'a>,
    layout: &'a Layout,
}

impl<'a> Objects<'a> {
    /// `first_line`: the line of the first byte.
    pub(crate) fn new(data: &'a [u8], first_line: u64, layout: &'a Layout) -> Self {
        Self { lines: Records::new(data, first_line), layout }
    }

    /// How many lines were read.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.lines()
    }

    /// The next record, and whether there are escapes in it, or what is wrong with the line.
    pub(crate) fn next_record(&mut self) -> Option<(Record<'_>, Result<bool, Fault>)> {
        let lines = &mut self.lines;
        lines.skip_empty_lines();
        if lines.pos >= lines.data.len() {
            return None;
        }
        let (start, line) = (lines.pos, lines.line);
        let rest = &lines.data[start..];
        let raw = &rest[..memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())];
        lines.pos = start + raw.len();
        lines.end_line();
        lines.spans.clear();
        lines.spans.resize(self.layout.columns.len(), Span::ABSENT);
        lines.unescaped.clear();
        let read = read(
            raw,
            Object {
                columns: self.layout.columns,
                amounts: self.layout.amounts,
                decimal: self.layout.values.decimal,
                spans: &mut lines.spans,
                texts: &mut lines.unescaped,
                seen: 0,
                escapes: false,
                fault: None,
            },
        );
        let record = Record {
            line,
            start,
            raw,
            broken: None,
            data: lines.data,
            unescaped: &lines.unescaped,
            spans: &lines.spans,
        };
        Some((record, read))
    }
}

fn read(raw: &[u8], mut object: Object<'_>) -> Result<bool, Fault> {
    let mut json = serde_json::Deserializer::from_slice(raw);
    let read = json.deserialize_map(&mut object).and_then(|()| json.end());
    match (read, object.fault) {
        (Err(error), _) => Err(broken(raw, &error)),
        (Ok(()), Some(fault)) => Err(fault),
        (Ok(()), None) => Ok(object.escapes),
    }
}

#[cold]
fn broken(raw: &[u8], error: &serde_json::Error) -> Fault {
    if std::str::from_utf8(raw).is_err() {
        let message = format!("the line is not UTF-8: {}; save the file with UTF-8 encoding", excerpt(raw));
        return Fault { column: None, code: ReasonCode::NotUtf8, message };
    }
    // its line is always 1: each line is read by itself
    let (what, column) = (error.to_string(), error.column());
    let what = what.split(" at line ").next().unwrap_or(&what);
    let message = format!("the line is not a JSON object: {what} at column {column}");
    Fault { column: None, code: ReasonCode::BadJson, message }
}

/// Where the fields of an object go.
struct Object<'o> {
    columns: &'static [&'static str],
    amounts: &'static [usize],
    decimal: Option<Decimal>,
    spans: &'o mut [Span],
    texts: &'o mut Vec<u8>,
    /// A bit a column that was named, with a null too.
    seen: u64,
    escapes: bool,
    fault: Option<Fault>,
}

impl<'de> Visitor<'de> for &mut Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in one line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Name(self.columns))? {
            match place {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(place) => {
                    self.name(place);
                    let value: &RawValue = map.next_value()?;
                    self.field(place, value.get()).map_err(serde::de::Error::custom)?;
                }
            }
        }
        Ok(())
    }
}

impl Object<'_> {
    /// A text may still hold escapes that are none.
    fn field(&mut self, place: usize, value: &str) -> Result<(), serde_json::Error> {
        let column = self.columns[place];
        let start = self.texts.len();
        match value.as_bytes() {
            [b'n', ..] => return Ok(()),
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => self.texts.extend_from_slice(text),
            [b'"', ..] => {
                self.escapes = true;
                self.texts.extend_from_slice(serde_json::from_str::<String>(value)?.as_bytes());
            }
            [b'-' | b'0'..=b'9', ..] if self.amounts.contains(&place) => self.amount(value),
            number @ [b'-' | b'0'..=b'9', ..] => self.texts.extend_from_slice(number),
            _ => {
                let message = format!("{column} is {}, expected a text or a number", excerpt(value.as_bytes()));
                self.fault.get_or_insert(Fault { column: Some(column), code: ReasonCode::BadJson, message });
            }
        }
        self.spans[place] = Span { start: offset(start), end: offset(self.texts.len()), unescaped: true };
        Ok(())
    }

    /// A number of JSON, as a text of the file would have it.
    fn amount(&mut self, number: &str) {
        let plain = plain_number(number);
        let number = plain.as_deref().unwrap_or(number).as_bytes();
        let start = self.texts.len();
        self.texts.extend_from_slice(number);
        if let Some(Decimal::Comma) = self.decimal
            && let Some(point) = memchr(b'.', number)
        {
            self.texts[start + point] = b',';
        }
    }

    /// A name twice has no answer to which of them counts, not even where one is null.
    fn name(&mut self, place: usize) {
        let bit = 1_u64 << place;
        if self.seen & bit != 0 {
            let column = self.columns[place];
            let message = format!("{column} stands in the object twice");
            self.fault.get_or_insert(Fault { column: Some(column), code: ReasonCode::BadJson, message });
        }
        self.seen |= bit;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "texts are not longer than their line, which is below 4 GiB")]
fn offset(bytes: usize) -> u32 {
    bytes as u32
}

/// A field's name: the place of the column that has it.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        // as it stands first: `Id` is `id` though `I-D` would be too
        let place = self.0.iter().position(|column| column.eq_ignore_ascii_case(name));
        Ok(place.or_else(|| self.0.iter().position(|column| same(column, name))))
    }
}
