//! The one table of a ZIP archive or a workbook, as the text that it would be if it had been exported: CSV with commas in UTF-8, or
//! a file of an archive as it is.
//!
//! Everything is read as a stream and with limits: what is small and says that it is large is refused, not unpacked. An archive or a
//! workbook with more than one table is asked about, not guessed at. Workbooks are read here and not by `calamine`, which holds all
//! texts of an `.xlsx` and every sheet of an `.ods` in memory; it is what the tests compare with.

mod archive;
mod cells;
mod entries;
mod error;
mod number;
mod ods;
mod sheet;
mod xlsx;
mod xml;

use std::{
    io::{Read, Seek},
    ops::ControlFlow,
};

use gristmill_pipelines::{Container, Decimal, Said};

pub use error::ContainerError;

use archive::{Archive, Found};

/// How much of a file is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the text that it becomes.
    pub max_text_bytes: u64,
    /// How many bytes one packed byte may become, beyond the first 8 MiB of a file in an archive.
    pub max_ratio: u64,
    /// Files of an archive.
    pub max_entries: usize,
    /// Bytes of the texts that a workbook keeps apart from its cells, which are in memory at once.
    pub max_shared_strings: usize,
    /// Columns of a sheet.
    pub max_columns: usize,
}

/// What a client says of such a file.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The file of an archive.
    pub entry: Option<String>,
    /// The sheet of a workbook: its name, or `#2` for the second one.
    pub sheet: Option<String>,
    /// How amounts that are text are written. Those that are numbers are written alike.
    pub decimal: Option<Decimal>,
}

impl From<&Said> for Wanted {
    fn from(said: &Said) -> Self {
        Self { entry: said.entry.clone(), sheet: said.sheet.clone(), decimal: said.decimal }
    }
}

/// Whether a file that begins so may be one: every archive and workbook that is read is a ZIP archive.
pub fn is_container(head: &[u8]) -> bool {
    matches!(head, [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..])
}

/// A table that was found.
pub struct Table<R> {
    archive: Archive<R>,
    place: Place,
    wanted: Wanted,
}

enum Place {
    Entry(entries::Entry),
    Xlsx(Box<xlsx::Workbook>),
    Ods(ods::Sheet),
}

/// Finds the table of a file.
///
/// # Errors
/// When the file is damaged, is none that is read here, or does not show by itself which table is meant.
pub fn open<R: Read + Seek>(file: R, wanted: Wanted, limits: Limits) -> Result<Table<R>, ContainerError> {
    let mut archive = Archive::open(file, limits)?;
    let place = match archive.found()? {
        Found::Zip => Place::Entry(entries::choose(&mut archive, &wanted)?),
        Found::Xlsx => Place::Xlsx(Box::new(xlsx::Workbook::open(&mut archive, &wanted)?)),
        Found::Ods => Place::Ods(ods::choose(&mut archive, &wanted)?),
    };
    Ok(Table { archive, place, wanted })
}

impl<R: Read + Seek> Table<R> {
    /// What the file is.
    pub fn container(&self) -> Container {
        match &self.place {
            Place::Entry(_) => Container::Zip,
            Place::Xlsx(_) => Container::Xlsx,
            Place::Ods(_) => Container::Ods,
        }
    }

    /// The file of the archive.
    pub fn entry(&self) -> Option<&str> {
        match &self.place {
            Place::Entry(entry) => Some(&entry.name),
            Place::Xlsx(_) | Place::Ods(_) => None,
        }
    }

    /// The sheet of the workbook.
    pub fn sheet(&self) -> Option<&str> {
        match &self.place {
            Place::Entry(_) => None,
            Place::Xlsx(workbook) => Some(workbook.sheet()),
            Place::Ods(sheet) => Some(&sheet.name),
        }
    }

    /// Has the text of it, piece by piece, until the receiver wants no more.
    ///
    /// # Errors
    /// When the file is damaged, or has more than the limits allow.
    pub fn read(self, emit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ContainerError> {
        let Self { mut archive, place, wanted } = self;
        match place {
            Place::Entry(entry) => entries::read(&mut archive, &entry, emit),
            Place::Xlsx(workbook) => workbook.read(&mut archive, wanted.decimal, emit),
            Place::Ods(sheet) => ods::read(&mut archive, &sheet, wanted.decimal, emit),
        }
    }
}
