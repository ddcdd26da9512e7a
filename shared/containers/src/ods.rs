//! Spreadsheets of LibreOffice (OpenDocument 1.3): one XML part with all sheets, read as a stream.

use std::{
    collections::HashSet,
    io::{BufRead, Read, Seek},
    ops::ControlFlow,
};

use gristmill_pipelines::Decimal;
use quick_xml::events::{BytesStart, Event};

use crate::{
    ContainerError, Wanted,
    archive::Archive,
    cells::{Cell, Row},
    error::Exceeded,
    number::{number, without_midnight},
    sheet::{MAX_ROWS, Writer},
    xlsx::{self, MAX_SHEETS},
    xml::{Xml, add, attribute},
};

const CONTENT: &str = "content.xml";

/// A sheet, by its place among those of the file.
pub(crate) struct Sheet {
    pub(crate) name: String,
    place: usize,
}

/// The one that was said, or the only one with rows.
pub(crate) fn choose<R: Read + Seek>(archive: &mut Archive<R>, wanted: &Wanted) -> Result<Sheet, ContainerError> {
    if wanted.entry.is_some() {
        let sentence = "the file is a spreadsheet, and entry= is of ZIP archives: send sheet=".to_owned();
        return Err(ContainerError::Unreadable(sentence));
    }
    let mut sheets = names(archive.xml(CONTENT)?)?;
    let place = match &wanted.sheet {
        Some(wanted) => xlsx::find(sheets.iter().map(|(name, _)| name.as_str()), wanted)?,
        None => {
            let with_rows: Vec<usize> = (0..sheets.len()).filter(|&place| sheets[place].1).collect();
            match with_rows[..] {
                [] => return Err(ContainerError::Empty("the spreadsheet has no visible sheet with rows".to_owned())),
                [place] => place,
                _ => {
                    let names: Vec<String> = with_rows.iter().map(|&place| sheets[place].0.clone()).collect();
                    return Err(ContainerError::which("sheet", "spreadsheet", "sheets with rows", &names));
                }
            }
        }
    };
    Ok(Sheet { name: sheets.swap_remove(place).0, place })
}

/// The names of all sheets, and whether they are shown and there is anything in them.
fn names(part: impl BufRead) -> Result<Vec<(String, bool)>, ContainerError> {
    let (mut xml, mut sheets, mut depth) = (Xml::new(part), Vec::new(), 0_u32);
    let (mut style, mut hidden, mut is_shown) = (None, HashSet::new(), true);
    loop {
        match xml.next()? {
            Event::Start(element) => match element.local_name().as_ref() {
                b"style" => style = attribute(&element, "name")?,
                b"table-properties" if attribute(&element, "display")?.is_some_and(|display| display == "false") => {
                    hidden.extend(style.take());
                }
                b"table" => {
                    depth += 1;
                    if depth == 1 {
                        let of = attribute(&element, "style-name")?;
                        is_shown = !of.is_some_and(|style| hidden.contains(&style));
                        sheets.push((attribute(&element, "name")?.unwrap_or_default(), false));
                        if sheets.len() > MAX_SHEETS {
                            return Err(Exceeded(format!("the spreadsheet has more than {MAX_SHEETS} sheets")).into());
                        }
                    }
                }
                b"p" if depth > 0 && is_shown => {
                    sheets.last_mut().into_iter().for_each(|(_, has_rows)| *has_rows = true)
                }
                _ => {}
            },
            Event::End(element) if element.local_name().as_ref() == b"table" => depth = depth.saturating_sub(1),
            Event::Eof => return Ok(sheets),
            _ => {}
        }
    }
}

/// Its rows as text.
pub(crate) fn read<R: Read + Seek>(
    archive: &mut Archive<R>,
    sheet: &Sheet,
    decimal: Option<Decimal>,
    emit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), ContainerError> {
    let limits = archive.limits;
    let mut writer = Writer::new(limits, decimal, emit);
    let mut xml = Xml::new(archive.xml(CONTENT)?);
    let mut place = 0;
    loop {
        match xml.next()? {
            Event::Start(element) if element.local_name().as_ref() == b"table" => {
                if place == sheet.place {
                    break;
                }
                place += 1;
                skip(&mut xml)?;
            }
            Event::Eof => return Err(ContainerError::damaged("the spreadsheet", "its sheet is gone")),
            _ => {}
        }
    }
    let mut rows = Rows { xml, max_columns: limits.max_columns };
    rows.write(&mut writer)?;
    writer.finish()
}

/// Reads to the end of an element that has begun.
fn skip(xml: &mut Xml<impl BufRead>) -> Result<(), ContainerError> {
    let mut depth = 1_u64;
    while depth > 0 {
        match xml.next()? {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Eof => return Err(ContainerError::damaged("the spreadsheet", "an element has no end")),
            _ => {}
        }
    }
    Ok(())
}

struct Rows<R> {
    xml: Xml<R>,
    max_columns: usize,
}

impl<R: BufRead> Rows<R> {
    fn write(&mut self, writer: &mut Writer<'_>) -> Result<(), ContainerError> {
        let mut row = Row::new(self.max_columns);
        loop {
            match self.xml.next()? {
                Event::Start(element) if element.local_name().as_ref() == b"table-row" => {
                    let times = repeated(&element, "number-rows-repeated")?.min(MAX_ROWS + 1);
                    row.clear();
                    self.cells(&mut row)?;
                    if writer.row(&row, times)?.is_break() {
                        return Ok(());
                    }
                }
                // Pictures may have tables of their own.
                Event::Start(element) if matches!(element.local_name().as_ref(), b"shapes" | b"forms" | b"table") => {
                    skip(&mut self.xml)?;
                }
                // Groups of rows, and headers, are around rows. To the end of the file, where its checksum is compared.
                Event::End(element) if element.local_name().as_ref() == b"table" => return self.xml.finish(),
                Event::Eof => return Err(ContainerError::damaged("the spreadsheet", "its sheet has no end")),
                _ => {}
            }
        }
    }

    /// The cells of a row, up to the last one that holds anything.
    fn cells(&mut self, row: &mut Row) -> Result<(), ContainerError> {
        let mut place = 0_usize;
        loop {
            match self.xml.next()? {
                Event::Start(element) => {
                    if !matches!(element.local_name().as_ref(), b"table-cell" | b"covered-table-cell") {
                        skip(&mut self.xml)?;
                        continue;
                    }
                    let times = usize::try_from(repeated(&element, "number-columns-repeated")?).unwrap_or(usize::MAX);
                    let typed = typed(&element)?;
                    let shown = self.shown()?;
                    let (cell, text) = typed.unwrap_or((Cell::Text, shown));
                    if !text.is_empty() {
                        for place in place..place.saturating_add(times) {
                            row.put(place, cell, &text)?;
                        }
                    }
                    place = place.saturating_add(times);
                }
                Event::End(_) => return Ok(()),
                Event::Eof => return Err(ContainerError::damaged("the spreadsheet", "a row has no end")),
                _ => {}
            }
        }
    }

    /// What a cell shows: its paragraphs, a line each. Comments and pictures are left out.
    fn shown(&mut self) -> Result<String, ContainerError> {
        let (mut text, mut depth, mut paragraphs) = (String::new(), 1_u64, 0_u64);
        while depth > 0 {
            let event = self.xml.next()?;
            match &event {
                Event::Start(element) => match element.local_name().as_ref() {
                    b"annotation" | b"frame" | b"table" | b"shapes" => skip(&mut self.xml)?,
                    name => {
                        depth += 1;
                        match name {
                            b"p" => {
                                if paragraphs > 0 {
                                    text.push('\n');
                                }
                                paragraphs += 1;
                            }
                            b"s" => {
                                let spaces =
                                    attribute(element, "c")?.and_then(|count| count.parse().ok()).unwrap_or(1_usize);
                                text.extend(std::iter::repeat_n(' ', spaces.min(1024)));
                            }
                            b"tab" => text.push('\t'),
                            b"line-break" => text.push('\n'),
                            _ => {}
                        }
                    }
                },
                Event::End(_) => depth -= 1,
                Event::Eof => return Err(ContainerError::damaged("the spreadsheet", "a cell has no end")),
                event if paragraphs > 0 => add(&mut text, event)?,
                _ => {}
            }
        }
        Ok(text)
    }
}

fn repeated(element: &BytesStart<'_>, name: &str) -> Result<u64, ContainerError> {
    Ok(attribute(element, name)?.and_then(|times| times.parse().ok()).unwrap_or(1))
}

/// What a cell holds, if it is no text.
fn typed(element: &BytesStart<'_>) -> Result<Option<(Cell, String)>, ContainerError> {
    let Some(kind) = attribute(element, "value-type")? else { return Ok(None) };
    Ok(match kind.as_str() {
        "float" | "currency" | "percentage" => attribute(element, "value")?.map(|value| (Cell::Number, number(&value))),
        "date" => attribute(element, "date-value")?.map(|value| (Cell::Exact, without_midnight(&value).to_owned())),
        "string" => attribute(element, "string-value")?.map(|value| (Cell::Text, value)),
        "boolean" => {
            let value = attribute(element, "boolean-value")?;
            value.map(|value| (Cell::Exact, if value == "true" { "TRUE" } else { "FALSE" }.to_owned()))
        }
        _ => None,
    })
}
