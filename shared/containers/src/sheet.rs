//! Rows as CSV with commas: row n of the sheet is line n, unless a cell above has several lines.

use std::ops::ControlFlow;

use gristmill_pipelines::Decimal;

use crate::{
    ContainerError, Limits,
    cells::{Cell, Row},
    error::Exceeded,
};

/// Rows that are looked at before any is written, by their size in memory.
const HELD_BYTES: usize = 1 << 20;
/// Bytes that are handed on at a time.
const PIECE: usize = 128 << 10;
/// Rows of the largest sheet that Excel has, and LibreOffice.
pub(crate) const MAX_ROWS: u64 = 1 << 24;

pub(crate) struct Writer<'e> {
    emit: &'e mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    limits: Limits,
    decimal: Option<Decimal>,
    /// The first rows, until it is known how they are written, with the empty ones before each.
    held: Option<Vec<(u64, Row)>>,
    held_bytes: usize,
    /// Of the rows that were held; shorter ones are filled up.
    width: usize,
    /// Rows without a cell that no other has followed yet.
    empty: u64,
    rows: u64,
    out: Vec<u8>,
    written: u64,
}

impl<'e> Writer<'e> {
    /// `decimal`: how amounts that are texts are written, if it was said.
    pub(crate) fn new(
        limits: Limits,
        decimal: Option<Decimal>,
        emit: &'e mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Self {
        let held = Some(Vec::new());
        Self { emit, limits, decimal, held, held_bytes: 0, width: 0, empty: 0, rows: 0, out: Vec::new(), written: 0 }
    }

    /// Takes so many rows that are empty.
    pub(crate) fn skip(&mut self, rows: u64) {
        self.empty = self.empty.saturating_add(rows);
    }

    /// Takes the next row, so many times. Breaks when no more is wanted.
    pub(crate) fn row(&mut self, row: &Row, times: u64) -> Result<ControlFlow<()>, ContainerError> {
        if row.is_empty() {
            self.skip(times);
            return Ok(ControlFlow::Continue(()));
        }
        for _ in 0..times {
            let empty = std::mem::take(&mut self.empty);
            self.rows = self.rows.saturating_add(empty).saturating_add(1);
            if self.rows > MAX_ROWS {
                return Err(Exceeded(format!("the sheet has more than {MAX_ROWS} rows")).into());
            }
            let flow = match &mut self.held {
                Some(held) => {
                    self.held_bytes += row.bytes();
                    held.push((empty, row.clone()));
                    if self.held_bytes < HELD_BYTES { ControlFlow::Continue(()) } else { self.release()? }
                }
                None => self.write(empty, row)?,
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// There are no more rows.
    pub(crate) fn finish(mut self) -> Result<(), ContainerError> {
        if self.release()?.is_continue() && !self.out.is_empty() {
            let _ = (self.emit)(&self.out);
        }
        Ok(())
    }

    /// Enough was seen of the rows: they are written.
    fn release(&mut self) -> Result<ControlFlow<()>, ContainerError> {
        let Some(held) = self.held.take() else { return Ok(ControlFlow::Continue(())) };
        self.width = held.iter().map(|(_, row)| row.width()).max().unwrap_or_default();
        let texts = held.iter().flat_map(|(_, row)| row.cells()).filter(|(cell, _)| *cell == Cell::Text);
        self.decimal = self.decimal.or_else(|| decimal(texts.map(|(_, text)| text)));
        for (empty, row) in &held {
            if self.write(*empty, row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn write(&mut self, empty: u64, row: &Row) -> Result<ControlFlow<()>, ContainerError> {
        let before = self.out.len();
        self.out.extend((0..empty).map(|_| b'\n'));
        for (place, (cell, text)) in row.cells().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            match cell {
                Cell::Number if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'E')) => {
                    self.number(text);
                }
                // What fills one column may be a CSV that was pasted there: its own delimiters count.
                _ if self.width > 1 => quoted(&mut self.out, text),
                _ => self.out.extend_from_slice(text.as_bytes()),
            }
        }
        self.out.extend((row.width()..self.width).map(|_| b','));
        self.out.push(b'\n');
        self.written += (self.out.len() - before) as u64;
        if self.written > self.limits.max_text_bytes {
            return Err(
                Exceeded(format!("the sheet is larger than {} bytes as text", self.limits.max_text_bytes)).into()
            );
        }
        if self.out.len() < PIECE {
            return Ok(ControlFlow::Continue(()));
        }
        let flow = (self.emit)(&self.out);
        self.out.clear();
        Ok(flow)
    }

    /// With the mark of the texts beside it, and never so that it might be thousands.
    fn number(&mut self, text: &str) {
        let decimals = text.find('.').map(|point| (point, text.len() - point - 1));
        match (decimals, self.decimal) {
            (Some((point, _)), Some(Decimal::Comma)) if self.width > 1 => {
                self.out.push(b'"');
                self.out.extend_from_slice(&text.as_bytes()[..point]);
                self.out.push(b',');
                self.out.extend_from_slice(&text.as_bytes()[point + 1..]);
            }
            _ => self.out.extend_from_slice(text.as_bytes()),
        }
        if decimals.is_some_and(|(_, decimals)| decimals == 3) && !text.contains('E') {
            self.out.push(b'0');
        }
        if decimals.is_some() && self.decimal == Some(Decimal::Comma) && self.width > 1 {
            self.out.push(b'"');
        }
    }
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// How amounts among these texts are written, where some show it and none shows the other way.
fn decimal<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Decimal> {
    let mut found = None;
    for text in texts {
        match (mark(text), found) {
            (None, _) => {}
            (Some(mark), None) => found = Some(mark),
            (Some(mark), Some(other)) if mark != other => return None,
            (Some(_), Some(_)) => {}
        }
    }
    found
}

/// The mark before one or two decimals, in a text that is an amount.
fn mark(text: &str) -> Option<Decimal> {
    let amount = text.trim().trim_start_matches(['R', 'U', 'S', '$', '€', ' ', '\u{a0}', '-', '+', '(']);
    let amount = amount.trim_end_matches([')', '€', ' ', '\u{a0}', '-']);
    let at = amount.rfind(['.', ','])?;
    let (whole, decimals) = (&amount[..at], &amount[at + 1..]);
    let is_amount = !whole.is_empty()
        && whole.chars().all(|char| char.is_ascii_digit() || matches!(char, '.' | ',' | ' ' | '\'' | '\u{a0}'))
        && (1..=2).contains(&decimals.len())
        && decimals.bytes().all(|byte| byte.is_ascii_digit())
        // 01.02.24 is a day.
        && !whole.contains(&amount[at..=at]);
    is_amount.then_some(if amount.as_bytes()[at] == b',' { Decimal::Comma } else { Decimal::Point })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { max_text_bytes: 1_000, max_ratio: 100, max_entries: 10, max_shared_strings: 1_000, max_columns: 8 };

    fn rows(rows: &[&[(usize, Cell, &str)]], decimal: Option<Decimal>) -> Result<String, String> {
        let mut text = Vec::new();
        let mut emit = |piece: &[u8]| {
            text.extend_from_slice(piece);
            ControlFlow::Continue(())
        };
        let mut writer = Writer::new(LIMITS, decimal, &mut emit);
        for cells in rows {
            let mut row = Row::new(LIMITS.max_columns);
            cells
                .iter()
                .try_for_each(|&(place, cell, text)| row.put(place, cell, text))
                .map_err(|error| error.to_string())?;
            assert!(writer.row(&row, 1).map_err(|error| error.to_string())?.is_continue());
        }
        writer.finish().map_err(|error| error.to_string())?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn rows_are_lines_of_the_same_width() {
        use Cell::{Exact, Number, Text};
        let text = rows(
            &[
                &[(0, Text, "Title")],
                &[],
                &[(0, Text, "a"), (1, Text, "b, c"), (2, Text, "d")],
                &[(1, Text, "say \"x\""), (2, Number, "7")],
                &[],
                &[(0, Exact, "2024-01-31"), (2, Text, "one\ntwo")],
            ],
            None,
        );
        assert_eq!(text.unwrap(), "Title,,\n\na,\"b, c\",d\n,\"say \"\"x\"\"\",7\n\n2024-01-31,,\"one\ntwo\"\n");
        assert_eq!(rows(&[&[], &[]], None).unwrap(), "");
    }

    #[test]
    fn numbers_are_written_as_the_texts_beside_them() {
        use Cell::{Number, Text};
        let written = |texts: &[&str], said| {
            let mut all: Vec<Vec<_>> = texts.iter().map(|text| vec![(0, Text, *text), (1, Text, "x")]).collect();
            all.push(vec![(0, Number, "1234.5"), (1, Number, "1.234")]);
            let all: Vec<&[_]> = all.iter().map(Vec::as_slice).collect();
            rows(&all, said).unwrap().lines().last().unwrap().to_owned()
        };
        assert_eq!(written(&["José"], None), "1234.5,1.2340");
        assert_eq!(written(&["1.234,56"], None), "\"1234,5\",\"1,2340\"");
        assert_eq!(written(&["R$ 10,50", "x"], None), "\"1234,5\",\"1,2340\"");
        assert_eq!(written(&["10,50", "10.50"], None), "1234.5,1.2340");
        assert_eq!(written(&["01.02.24", "1,234"], None), "1234.5,1.2340");
        assert_eq!(written(&["10.50"], Some(Decimal::Comma)), "\"1234,5\",\"1,2340\"");
    }

    #[test]
    fn a_csv_in_one_column_is_what_it_is() {
        let text = rows(&[&[(0, Cell::Text, "a;b,c;d")], &[(0, Cell::Text, "1;\"2\";3")]], None);
        assert_eq!(text.unwrap(), "a;b,c;d\n1;\"2\";3\n");
    }

    #[test]
    fn what_is_no_number_stays_one_field() {
        let text = rows(&[&[(0, Cell::Number, "1,5"), (1, Cell::Exact, "#N/A, \"x\"")]], Some(Decimal::Comma));
        assert_eq!(text.unwrap(), "\"1,5\",\"#N/A, \"\"x\"\"\"\n");
    }

    #[test]
    fn more_than_allowed_is_refused() {
        let wide = rows(&[&[(8, Cell::Text, "x")]], None).unwrap_err();
        assert_eq!(wide, "a row of the sheet has 9 columns: 8 are allowed. Remove what stands beside the table");
        let long = "x".repeat(600);
        let error = rows(&[&[(0, Cell::Text, &long)], &[(0, Cell::Text, &long)]], None).unwrap_err();
        assert_eq!(error, "the sheet is larger than 1000 bytes as text");
        let mut emit = |_: &[u8]| ControlFlow::Continue(());
        let mut writer = Writer::new(LIMITS, None, &mut emit);
        writer.skip(MAX_ROWS);
        let mut row = Row::new(1);
        row.put(0, Cell::Text, "x").unwrap();
        assert!(writer.row(&row, 1).unwrap_err().to_string().contains("rows"));
    }
}
