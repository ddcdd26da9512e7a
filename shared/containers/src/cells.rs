//! A row of a sheet.

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
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    text: String,
    /// What each is, and where its text ends.
    cells: Vec<(Cell, usize)>,
}

impl Row {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell at a place, from 0, behind those that are there.
    pub(crate) fn put(&mut self, place: usize, cell: Cell, text: &str) {
        while self.cells.len() < place {
            self.cells.push((Cell::Exact, self.text.len()));
        }
        self.text.push_str(text);
        self.cells.push((cell, self.text.len()));
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
