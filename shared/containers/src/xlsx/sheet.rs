//! The cells of a sheet.

use std::io::BufRead;

use quick_xml::events::Event;

use super::{
    reference::place,
    strings::{RichText, Strings, unescaped},
    styles::{Shown, Styles},
};
use crate::{
    ContainerError,
    cells::{Cell, Row},
    number::{moment, number, without_midnight},
    sheet::Writer,
    xml::{Xml, add, attribute},
};

pub(super) struct Cells<'w, R> {
    xml: Xml<R>,
    strings: &'w Strings,
    styles: &'w Styles,
    since_1904: bool,
}

/// What a cell says of itself before its value comes.
#[derive(Default)]
struct Open {
    column: usize,
    /// `s`, `str`, `inlineStr`, `b`, `e`, `d`; none or `n`: a number.
    kind: String,
    style: usize,
    value: String,
    in_value: bool,
    rich: RichText,
    in_rich: bool,
}

impl<'w, R: BufRead> Cells<'w, R> {
    pub(super) fn new(part: R, strings: &'w Strings, styles: &'w Styles, since_1904: bool) -> Self {
        Self { xml: Xml::new(part), strings, styles, since_1904 }
    }

    pub(super) fn write(mut self, writer: &mut Writer<'_>, max_columns: usize) -> Result<(), ContainerError> {
        let (mut row, mut next_row, mut next_column, mut cell) = (Row::new(max_columns), 0_u64, 0_usize, None::<Open>);
        loop {
            let event = self.xml.next()?;
            match &event {
                Event::Start(element) => match (element.local_name().as_ref(), &mut cell) {
                    (b"row", _) => {
                        let number = attribute(element, "r")?.and_then(|number| number.parse::<u64>().ok());
                        let at = number.and_then(|number| number.checked_sub(1)).unwrap_or(next_row);
                        if at < next_row {
                            return Err(ContainerError::damaged("the workbook", format!("row {} comes twice", at + 1)));
                        }
                        writer.skip(at - next_row);
                        (next_row, next_column) = (at + 1, 0);
                        row.clear();
                    }
                    (b"c", cell) => {
                        let column = attribute(element, "r")?.and_then(|reference| place(&reference).0);
                        let column = column.unwrap_or(next_column);
                        if column < next_column {
                            let why = format!("a cell of row {next_row} comes twice");
                            return Err(ContainerError::damaged("the workbook", why));
                        }
                        next_column = column.saturating_add(1);
                        let style = attribute(element, "s")?.and_then(|style| style.parse().ok()).unwrap_or_default();
                        let kind = attribute(element, "t")?.unwrap_or_default();
                        *cell = Some(Open { column, kind, style, ..Open::default() });
                    }
                    (b"v", Some(cell)) => cell.in_value = true,
                    (b"is", Some(cell)) => cell.in_rich = true,
                    (_, Some(cell)) if cell.in_rich => cell.rich.see(&event)?,
                    _ => {}
                },
                Event::End(element) => match (element.local_name().as_ref(), &mut cell) {
                    (b"row", _) if writer.row(&row, 1)?.is_break() => return Ok(()),
                    (b"row", _) => {}
                    (b"c", cell) => {
                        if let Some(cell) = cell.take() {
                            put(&mut row, cell, self.strings, self.styles, self.since_1904)?;
                        }
                    }
                    (b"v", Some(cell)) => cell.in_value = false,
                    (b"is", Some(cell)) => cell.in_rich = false,
                    // To its end, where its checksum is compared.
                    (b"sheetData", _) => return self.xml.finish(),
                    (_, Some(cell)) if cell.in_rich => cell.rich.see(&event)?,
                    _ => {}
                },
                Event::Eof => return Err(ContainerError::damaged("the workbook", "its sheet has no end")),
                event => match &mut cell {
                    Some(cell) if cell.in_value => add(&mut cell.value, event)?,
                    Some(cell) if cell.in_rich => cell.rich.see(event)?,
                    _ => {}
                },
            }
        }
    }
}

/// What a cell means, at its place.
fn put(
    row: &mut Row,
    mut cell: Open,
    strings: &Strings,
    styles: &Styles,
    since_1904: bool,
) -> Result<(), ContainerError> {
    let value = cell.value.as_str();
    match cell.kind.as_str() {
        "s" => {
            let text = value.trim().parse().ok().and_then(|number| strings.get(number));
            let text =
                text.ok_or_else(|| ContainerError::damaged("the workbook", format!("it has no text {value}")))?;
            row.put(cell.column, Cell::Text, text)?;
        }
        "inlineStr" => row.put(cell.column, Cell::Text, &cell.rich.take())?,
        "str" => row.put(cell.column, Cell::Text, &unescaped(cell.value))?,
        _ if value.is_empty() => {}
        "b" => row.put(cell.column, Cell::Exact, if value.trim() == "1" { "TRUE" } else { "FALSE" })?,
        "d" => row.put(cell.column, Cell::Exact, without_midnight(value))?,
        // As Excel shows it: `#REF!`. A row with one is rejected.
        "e" => row.put(cell.column, Cell::Exact, value)?,
        _ => match styles.of(cell.style) {
            Shown::Day => match value.trim().parse().ok().and_then(|serial| moment(serial, since_1904)) {
                Some(moment) => row.put(cell.column, Cell::Exact, &moment)?,
                None => row.put(cell.column, Cell::Number, &number(value.trim()))?,
            },
            Shown::Number => row.put(cell.column, Cell::Number, &number(value.trim()))?,
            // An identifier: its zeros are a part of it.
            Shown::Digits(digits) => {
                let number = number(value.trim());
                let is_whole = number.bytes().all(|byte| byte.is_ascii_digit());
                let digits = if is_whole { digits } else { 0 };
                row.put(
                    cell.column,
                    if is_whole { Cell::Exact } else { Cell::Number },
                    &format!("{number:0>digits$}"),
                )?;
            }
        },
    }
    Ok(())
}

/// Whether any cell of a sheet holds anything.
pub(super) fn has_rows(part: impl BufRead) -> Result<bool, ContainerError> {
    let (mut xml, mut in_value) = (Xml::new(part), false);
    loop {
        match xml.next()? {
            Event::Start(element) => in_value = matches!(element.local_name().as_ref(), b"v" | b"t"),
            Event::End(_) => in_value = false,
            Event::Eof => return Ok(false),
            _ if in_value => return Ok(true),
            _ => {}
        }
    }
}
