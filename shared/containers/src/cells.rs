//! A row of a sheet.

use crate::error::Exceeded;

/// Bytes of a row's texts.
const MAX_ROW: usize = 16 << 20;

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// As it was written.
    Text,
    /// A number, with a point.
    Number,
    /// A day, a time, a yes or no: written in one way.
    Exact,
}

/// The cells of one row, of which some may be empty.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    max_columns: usize,
    text: String,
    /// What each is, and where its text ends.
    cells: Vec<(Cell, usize)>,
}

impl Row {
    pub(crate) fn new(max_columns: usize) -> Self {
        Self { max_columns, text: String::new(), cells: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell at a place, from 0, behind those that are there. One that holds nothing adds nothing.
    ///
    /// # Errors
    /// When the row would have more columns, or more text, than it may.
    pub(crate) fn put(&mut self, place: usize, cell: Cell, text: &str) -> Result<(), Exceeded> {
        if text.is_empty() {
            return Ok(());
        }
        if place >= self.max_columns {
            let (columns, most) = (place.saturating_add(1), self.max_columns);
            return Err(Exceeded(format!(
                "a row of the sheet has {columns} columns: {most} are allowed. Remove what stands beside the table"
            )));
        }
        if self.text.len() + text.len() > MAX_ROW {
            return Err(Exceeded(format!("a row of the sheet has more than {MAX_ROW} bytes")));
        }
        while self.cells.len() < place {
            self.cells.push((Cell::Exact, self.text.len()));
        }
        self.text.push_str(text);
        self.cells.push((cell, self.text.len()));
        Ok(())
    }

    /// Places up to the last one.
    pub(crate) fn width(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is anything in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.cells.len() * size_of::<(Cell, usize)>()
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (Cell, &str)> {
        let mut from = 0;
        self.cells.iter().map(move |&(cell, to)| (cell, &self.text[std::mem::replace(&mut from, to)..to]))
    }
}
