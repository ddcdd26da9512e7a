//! Workbooks of Excel since 2007 (ECMA-376, transitional and strict): which sheets there are, and the cells of one, read as a stream.

mod reference;
mod sheet;
mod strings;
mod styles;

use std::{
    io::{Read, Seek},
    ops::ControlFlow,
};

use gristmill_pipelines::Decimal;
use quick_xml::events::Event;

use crate::{
    ContainerError, Wanted,
    archive::Archive,
    error::Exceeded,
    xml::{Xml, attribute},
};
use sheet::Cells;
use strings::Strings;
use styles::Styles;

/// Sheets of a workbook.
pub(crate) const MAX_SHEETS: usize = 1_000;
/// Parts that one refers to.
const MAX_RELATIONS: usize = 10_000;
/// What an `.xlsx` is called in sentences.
const WORKBOOK: &str = "workbook";

/// A workbook of which one sheet is meant.
pub(crate) struct Workbook {
    parts: Parts,
    sheet: Sheet,
}

struct Sheet {
    name: String,
    part: String,
    is_hidden: bool,
}

/// What a workbook consists of.
#[derive(Default)]
struct Parts {
    sheets: Vec<Sheet>,
    strings: Option<String>,
    styles: Option<String>,
    /// Its days are counted from 1904, as on old Macs.
    since_1904: bool,
}

impl Workbook {
    pub(crate) fn open<R: Read + Seek>(archive: &mut Archive<R>, wanted: &Wanted) -> Result<Self, ContainerError> {
        if wanted.entry.is_some() {
            let sentence = "the file is a workbook, and entry= is of ZIP archives: send sheet=".to_owned();
            return Err(ContainerError::Unreadable(sentence));
        }
        let mut parts = Parts::read(archive)?;
        let place = match &wanted.sheet {
            Some(wanted) => find(parts.sheets.iter().map(|sheet| sheet.name.as_str()), wanted)?,
            None => parts.only(archive)?,
        };
        let sheet = parts.sheets.swap_remove(place);
        Ok(Self { parts, sheet })
    }

    pub(crate) fn sheet(&self) -> &str {
        &self.sheet.name
    }

    pub(crate) fn read<R: Read + Seek>(
        self,
        archive: &mut Archive<R>,
        decimal: Option<Decimal>,
        emit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ContainerError> {
        let Self { parts, sheet } = self;
        let limits = archive.limits;
        let strings = match &parts.strings {
            Some(part) => Strings::read(archive.xml(part)?, limits.max_shared_strings)?,
            None => Strings::default(),
        };
        let styles = match &parts.styles {
            Some(part) => Styles::read(archive.small_xml(part)?)?,
            None => Styles::default(),
        };
        let mut writer = crate::sheet::Writer::new(limits, decimal, emit);
        let cells = Cells::new(archive.xml(&sheet.part)?, &strings, &styles, parts.since_1904);
        cells.write(&mut writer, limits.max_columns)?;
        writer.finish()
    }
}

/// The place of the sheet that was said: by its name, else by its number as `#2`.
pub(crate) fn find<'n>(names: impl Iterator<Item = &'n str> + Clone, wanted: &str) -> Result<usize, ContainerError> {
    let by_number = || {
        let number = wanted.strip_prefix('#')?.parse::<usize>().ok()?.checked_sub(1)?;
        names.clone().nth(number).map(|_| number)
    };
    let exact = names.clone().position(|name| name == wanted);
    let alike = || names.clone().position(|name| name.trim().to_lowercase() == wanted.trim().to_lowercase());
    exact.or_else(alike).or_else(by_number).ok_or_else(|| {
        let names: Vec<String> = names.clone().map(str::to_owned).collect();
        ContainerError::no_such("sheet", WORKBOOK, wanted, &names)
    })
}

impl Parts {
    fn read<R: Read + Seek>(archive: &mut Archive<R>) -> Result<Self, ContainerError> {
        let main = relations(archive, "_rels/.rels", "")?
            .into_iter()
            .find(|relation| relation.kind == "officeDocument")
            .map_or_else(|| "xl/workbook.xml".to_owned(), |relation| relation.part);
        let (folder, file) = main.rsplit_once('/').unwrap_or(("", &main));
        let related = relations(archive, &format!("{folder}/_rels/{file}.rels"), folder)?;
        let of =
            |kind: &str| related.iter().find(|relation| relation.kind == kind).map(|relation| relation.part.clone());
        let mut parts = Self { strings: of("sharedStrings"), styles: of("styles"), ..Self::default() };

        let mut xml = Xml::new(archive.small_xml(&main)?);
        loop {
            match xml.next()? {
                Event::Start(element) if element.local_name().as_ref() == b"workbookPr" => {
                    let since_1904 = attribute(&element, "date1904")?;
                    parts.since_1904 = since_1904.is_some_and(|value| value == "1" || value == "true");
                }
                Event::Start(element) if element.local_name().as_ref() == b"sheet" => {
                    let id = attribute(&element, "id")?;
                    let part = related
                        .iter()
                        .find(|relation| Some(&relation.id) == id.as_ref() && relation.kind == "worksheet");
                    // What is no worksheet is a chart.
                    let (Some(name), Some(part)) = (attribute(&element, "name")?, part) else { continue };
                    let is_hidden = attribute(&element, "state")?.is_some_and(|state| state != "visible");
                    if parts.sheets.len() == MAX_SHEETS {
                        return Err(Exceeded(format!("the workbook has more than {MAX_SHEETS} sheets")).into());
                    }
                    if parts.sheets.iter().any(|sheet| sheet.part == part.part) {
                        return Err(ContainerError::damaged("the workbook", "two sheets have the same rows"));
                    }
                    parts.sheets.push(Sheet { name, part: part.part.clone(), is_hidden });
                }
                Event::Eof => return Ok(parts),
                _ => {}
            }
        }
    }

    /// The only sheet that is shown and has rows.
    fn only<R: Read + Seek>(&self, archive: &mut Archive<R>) -> Result<usize, ContainerError> {
        let mut with_rows = Vec::new();
        for (place, sheet) in self.sheets.iter().enumerate().filter(|(_, sheet)| !sheet.is_hidden) {
            if sheet::has_rows(archive.xml(&sheet.part)?)? {
                with_rows.push(place);
            }
        }
        match with_rows[..] {
            [] => Err(ContainerError::Empty("the workbook has no visible sheet with rows".to_owned())),
            [place] => Ok(place),
            _ => {
                let names: Vec<String> = with_rows.iter().map(|&place| self.sheets[place].name.clone()).collect();
                Err(ContainerError::which("sheet", WORKBOOK, "sheets with rows", &names))
            }
        }
    }
}

/// What a part refers to.
struct Relation {
    id: String,
    /// The last word of its type: strict and transitional files differ before that.
    kind: String,
    part: String,
}

fn relations<R: Read + Seek>(
    archive: &mut Archive<R>,
    part: &str,
    folder: &str,
) -> Result<Vec<Relation>, ContainerError> {
    let part = part.trim_start_matches('/');
    if !archive.has(part) {
        return Ok(Vec::new());
    }
    let (mut xml, mut found) = (Xml::new(archive.small_xml(part)?), Vec::new());
    loop {
        match xml.next()? {
            Event::Start(element) if element.local_name().as_ref() == b"Relationship" => {
                let of = |name| attribute(&element, name);
                let (Some(id), Some(kind), Some(target)) = (of("Id")?, of("Type")?, of("Target")?) else { continue };
                let kind = kind.rsplit('/').next().unwrap_or(&kind).to_owned();
                found.push(Relation { id, kind, part: joined(folder, &target) });
                if found.len() > MAX_RELATIONS {
                    return Err(
                        Exceeded(format!("a part of the workbook refers to more than {MAX_RELATIONS} others")).into()
                    );
                }
            }
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// The name in the archive of what a part in a folder refers to.
fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{find, joined};

    #[test]
    fn parts_are_found_from_where_they_are_named() {
        assert_eq!(joined("xl", "worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(joined("xl", "/xl/worksheets/sheet1.xml"), "xl/worksheets/sheet1.xml");
        assert_eq!(joined("xl/worksheets", "../media/x.png"), "xl/media/x.png");
        assert_eq!(joined("", "xl/workbook.xml"), "xl/workbook.xml");
        assert_eq!(joined("", "../../etc"), "etc");
    }

    #[test]
    fn sheets_are_found_by_name_and_number() {
        let names = ["Jan", "Fev", "#1"];
        for (wanted, place) in [("Jan", 0), ("fev ", 1), ("#2", 1), ("#1", 2), ("#3", 2)] {
            assert_eq!(find(names.into_iter(), wanted).unwrap(), place, "{wanted}");
        }
        for wanted in ["Mar", "#0", "#4", ""] {
            let error = find(names.into_iter(), wanted).unwrap_err().to_string();
            assert_eq!(error, format!("the workbook has no sheet '{wanted}'; it has Jan, Fev, #1"));
        }
    }
}
