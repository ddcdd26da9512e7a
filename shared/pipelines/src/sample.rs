//! How a file writes its amounts and dates: voted on by the values of its first rows.
//!
//! `10,50` can only have a decimal comma and `31/12/2024` only begin with the day, whatever stands in other rows. `1.234` and
//! `01/02/2024` mean two things; what they mean in a file is what its other values say. Where those say nothing, or two things,
//! it is a question, and nothing is read until it is answered.

mod amount;
mod date;
mod json;
mod told;
mod votes;
mod words;

use std::collections::BTreeMap;

use crate::{
    Chunk, DateOrder, Decimal, Delimiter, Example, Format, Kind, Layout, Question, Said, Values,
    fields::trim_bytes,
    preface::mark,
    records::{Record, Records},
};
use amount::Amount;
use date::Day;
use votes::Votes;

/// So much of a file's rows is looked at.
const BYTES: usize = 1 << 20;
/// Of so many rows that are not as wide as the header it is looked at what would separate them.
const MISFITS: u64 = 1_000;
/// So much of a value is shown.
const CHARS: usize = 60;

/// What a column's values are, where they may be written in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Amounts of money.
    Amount,
    /// Days.
    Date,
}

/// What the first rows say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sampled {
    /// How amounts and dates are written, as far as the kind's own rule does not read them.
    pub values: Values,
    /// A value that shows the decimal mark; none where it was said.
    pub decimal: Option<Example>,
    /// A value that shows the order of dates; none where it was said.
    pub dates: Option<Example>,
    /// Rows that were looked at.
    pub rows: u64,
}

/// Looks at the first megabyte of a file's rows. The same rows have the same outcome, however they were cut into chunks.
#[derive(Debug)]
pub struct Sample {
    kind: Kind,
    layout: Layout,
    max_record_bytes: usize,
    looked: usize,
    rows: u64,
    amounts: Votes<Amount>,
    /// Decimal marks that three digits stand behind, and cannot be thousands.
    thirds: Vec<Decimal>,
    days: Votes<Day>,
    widths: Widths,
}

/// Whether rows are as wide as the header.
#[derive(Debug, Default)]
struct Widths {
    fit: u64,
    misfits: u64,
    /// The first one that is not: its line, and how many fields it has.
    first: Option<(u64, usize)>,
    /// How many of them another delimiter would cut well.
    others: BTreeMap<u8, u64>,
}

impl Sample {
    /// Before the first row of a file with this layout.
    pub fn new(kind: Kind, layout: &Layout, max_record_bytes: usize) -> Self {
        Self {
            kind,
            layout: layout.clone(),
            max_record_bytes,
            looked: 0,
            rows: 0,
            amounts: Votes::default(),
            thirds: Vec::new(),
            days: Votes::default(),
            widths: Widths::default(),
        }
    }

    /// Looks at the next rows. Once it is full, they change nothing.
    pub fn push(&mut self, chunk: &Chunk) {
        let left = BYTES - self.looked;
        // With what was too long to be kept.
        self.looked += usize::try_from(chunk.bytes).unwrap_or(usize::MAX).min(left);
        match self.layout.format() {
            Format::Csv(delimiter) => {
                let records = Records::new(&chunk.data, chunk.first_line).delimited_by(delimiter);
                let mut records = records.at_most(self.max_record_bytes);
                while let Some(record) = records.next_record().filter(|record| record.start < left) {
                    self.record(&record, delimiter);
                }
            }
            Format::Ndjson => json::each(&chunk.data, chunk.first_line, left, |line, field| {
                self.rows += u64::from(field.is_none());
                if let Some((name, text)) = field
                    && let Some(place) = json::place(self.kind, name)
                {
                    self.value(place, line, text);
                }
            }),
        }
    }

    /// Whether enough was looked at.
    pub fn is_full(&self) -> bool {
        self.looked == BYTES
    }

    /// What the rows say, the file being over or the sample full.
    ///
    /// # Errors
    /// What is to be said before they can be read.
    pub fn verdict(&self, said: &Said) -> Result<Sampled, Vec<Question>> {
        let whole = !self.is_full();
        let asks = self.kind != Kind::Claims;
        let questions: Vec<Question> = match self.widths() {
            Some(question) => vec![question],
            None => [
                said.decimal.is_none().then(|| self.amounts.question(asks, whole)).flatten(),
                said.dates.is_none().then(|| self.days.question(asks, whole)).flatten(),
            ]
            .into_iter()
            .flatten()
            .collect(),
        };
        if !questions.is_empty() {
            return Err(questions);
        }
        let decimal = match said.decimal {
            Some(said) => Some((said, None)),
            None => self.amounts.decimal(asks, whole).map(|(decimal, shown)| (decimal, Some(shown))),
        };
        let dates = match said.dates {
            Some(said) => Some((said, None)),
            None => self.days.order(asks, whole).map(|(order, shown)| (order, Some(shown))),
        };
        Ok(Sampled {
            values: Values {
                decimal: decimal.as_ref().map(|(of, _)| *of),
                dates: dates.as_ref().map(|(of, _)| *of),
                two_decimals: decimal.as_ref().is_some_and(|(of, shown)| shown.is_some() && !self.thirds.contains(of)),
                long_years: dates.as_ref().is_some_and(|(of, shown)| *of == DateOrder::Ymd && shown.is_some())
                    && !self.days.has(Day::Says(DateOrder::Ymd)),
            },
            decimal: decimal.and_then(|(_, shown)| shown),
            dates: dates.and_then(|(_, shown)| shown),
            rows: self.rows,
        })
    }

    fn record(&mut self, record: &Record<'_>, delimiter: Delimiter) {
        self.rows += 1;
        if record.columns() == self.layout.width() || self.layout.has_room_for(record) {
            self.widths.fit += 1;
            for (column, _) in self.kind.value_columns() {
                if let Some(text) = record.field(self.layout.places[column]) {
                    self.value(column, record.line, text);
                }
            }
            return;
        }
        self.widths.misfits += 1;
        if self.widths.misfits > MISFITS {
            return;
        }
        self.widths.first.get_or_insert((record.line, record.columns()));
        for other in Delimiter::ALL.iter().filter(|other| **other != delimiter) {
            let mut cut = Records::new(record.raw, 1).delimited_by(*other);
            if cut.next_record().is_some_and(|record| record.columns() == self.layout.width()) {
                *self.widths.others.entry(other.byte()).or_default() += 1;
            }
        }
    }

    fn value(&mut self, column: usize, line: u64, text: &[u8]) {
        let text = trim_bytes(text);
        let Some((_, of)) = self.kind.value_columns().find(|(place, _)| *place == column) else { return };
        if text.is_empty() {
            return;
        }
        let name = self.kind.columns()[column];
        let shown = || (name, Example { line, value: String::from_utf8_lossy(text).chars().take(CHARS).collect() });
        match of {
            ValueKind::Amount => {
                if let Some(mark) = amount::third(text).filter(|mark| !self.thirds.contains(mark)) {
                    self.thirds.push(mark);
                }
                self.amounts.cast(amount::read(text), shown);
            }
            ValueKind::Date => self.days.cast(date::read(text, self.kind), shown),
        }
    }

    /// Whether the rows are separated otherwise than the header.
    fn widths(&self) -> Option<Question> {
        let Widths { fit, misfits, first, others } = &self.widths;
        let looked = (*misfits).min(MISFITS);
        let Format::Csv(delimiter) = self.layout.format() else { return None };
        let (byte, _) = others.iter().find(|(_, cut)| fit < misfits && **cut * 10 >= looked * 9)?;
        let other = Delimiter::ALL.iter().find(|other| other.byte() == *byte)?;
        let (line, found) = (*first)?;
        let sentence = format!(
            "The header is separated by {} and the rows by {}: line {line} has {found} field{} where the header has {}. Write \
             both alike, or send delimiter= and header_line=.",
            mark(delimiter),
            mark(*other),
            if found == 1 { "" } else { "s" },
            self.layout.width(),
        );
        Some(Question { parameter: "delimiter", choices: Vec::new(), examples: Vec::new(), sentence })
    }
}

impl Kind {
    /// The columns whose values may be written in several ways.
    pub fn value_columns(self) -> impl Iterator<Item = (usize, ValueKind)> {
        let amounts = self.amounts().iter().map(|column| (*column, ValueKind::Amount));
        amounts.chain(self.dates().iter().map(|column| (*column, ValueKind::Date)))
    }
}

#[cfg(test)]
mod tests;
