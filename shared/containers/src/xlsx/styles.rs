//! Which numbers are days: as the format of their cell shows them.

use std::{collections::HashSet, io::BufRead};

use quick_xml::events::Event;

use crate::{
    ContainerError,
    xml::{Xml, attribute},
};

/// For each format that cells name by its place, whether it shows a day or a time.
#[derive(Default)]
pub(super) struct Styles(Vec<bool>);

impl Styles {
    pub(super) fn read(part: impl BufRead) -> Result<Self, ContainerError> {
        let (mut xml, mut days, mut styles) = (Xml::new(part), HashSet::new(), Vec::new());
        let mut in_cells = false;
        loop {
            match xml.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    b"numFmt" => {
                        let (id, code) = (attribute(&element, "numFmtId")?, attribute(&element, "formatCode")?);
                        if let (Some(id), Some(true)) = (id, code.map(|code| shows_days(&code))) {
                            days.insert(id);
                        }
                    }
                    b"cellXfs" => in_cells = true,
                    b"xf" if in_cells => {
                        let id = attribute(&element, "numFmtId")?.unwrap_or_default();
                        styles.push(days.contains(&id) || id.parse().is_ok_and(is_built_in_day));
                    }
                    _ => {}
                },
                Event::End(element) if element.local_name().as_ref() == b"cellXfs" => in_cells = false,
                Event::Eof => return Ok(Self(styles)),
                _ => {}
            }
        }
    }

    pub(super) fn is_day(&self, place: usize) -> bool {
        self.0.get(place).copied().unwrap_or(false)
    }
}

/// Those that are not written down (ECMA-376, 18.8.30); 27 to 36 and 50 to 58 are days in East Asia.
fn is_built_in_day(id: u32) -> bool {
    matches!(id, 14..=22 | 27..=36 | 45..=47 | 50..=58)
}

/// Whether a code has a letter of a day or a time outside of texts, colours and conditions.
fn shows_days(code: &str) -> bool {
    // Positive numbers have the first part.
    let mut chars = code.split(';').next().unwrap_or(code).chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => while chars.next().is_some_and(|char| char != '"') {},
            // An elapsed time, such as [h], is a number.
            '[' => while chars.next().is_some_and(|char| char != ']') {},
            '\\' | '_' | '*' => drop(chars.next()),
            'd' | 'D' | 'm' | 'M' | 'y' | 'Y' | 'h' | 'H' | 's' | 'S' => return true,
            'G' | 'g' => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Styles, shows_days};

    #[test]
    fn days_are_known_by_their_format() {
        for code in
            ["dd/mm/yyyy", "yyyy-mm-dd;@", "[$-416]d-mmm-yy;@", "h:mm AM/PM", "\"on \"dd", "mmm yyyy", "[Red]dd"]
        {
            assert!(shows_days(code), "{code}");
        }
        for code in [
            "General",
            "0.00",
            "#,##0.00 \"days\"",
            "[Red]0",
            "R$ #,##0",
            "0\\d",
            "@",
            "0.00E+00",
            "_-* #,##0.00_-",
            "",
        ] {
            assert!(!shows_days(code), "{code}");
        }
    }

    #[test]
    fn cells_name_formats_by_their_place() {
        let xml = "<styleSheet><numFmts><numFmt numFmtId=\"164\" formatCode=\"dd\\/mm\\/yyyy\"/>\
                   <numFmt numFmtId=\"165\" formatCode=\"0.000\"/></numFmts><cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
                   <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"164\"/><xf numFmtId=\"165\"/></cellXfs></styleSheet>";
        let styles = Styles::read(xml.as_bytes()).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|place| styles.is_day(place)), [false, true, true, false, false]);
    }
}
