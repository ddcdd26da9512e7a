//! What a number is: as the format of its cell shows it.

use std::{collections::HashMap, io::BufRead};

use quick_xml::events::Event;

use crate::{
    ContainerError,
    xml::{Xml, attribute},
};

/// As what a format shows a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Number,
    /// A day, or a time.
    Day,
    /// So many digits, with zeros before those that it has: `00000000000`.
    Digits(usize),
}

/// For each format that cells name by its place, what it shows.
#[derive(Default)]
pub(super) struct Styles(Vec<Shown>);

impl Styles {
    pub(super) fn read(part: impl BufRead) -> Result<Self, ContainerError> {
        let (mut xml, mut own, mut styles) = (Xml::new(part), HashMap::new(), Vec::new());
        let mut in_cells = false;
        loop {
            match xml.next()? {
                Event::Start(element) => match element.local_name().as_ref() {
                    b"numFmt" => {
                        let (id, code) = (attribute(&element, "numFmtId")?, attribute(&element, "formatCode")?);
                        if let (Some(id), Some(code)) = (id, code) {
                            own.insert(id, shown(&code));
                        }
                    }
                    b"cellXfs" => in_cells = true,
                    b"xf" if in_cells => {
                        let id = attribute(&element, "numFmtId")?.unwrap_or_default();
                        let is_day = id.parse().is_ok_and(is_built_in_day);
                        let built_in = if is_day { Shown::Day } else { Shown::Number };
                        styles.push(own.get(&id).copied().unwrap_or(built_in));
                    }
                    _ => {}
                },
                Event::End(element) if element.local_name().as_ref() == b"cellXfs" => in_cells = false,
                Event::Eof => return Ok(Self(styles)),
                _ => {}
            }
        }
    }

    pub(super) fn of(&self, place: usize) -> Shown {
        self.0.get(place).copied().unwrap_or(Shown::Number)
    }
}

/// Digits of an identifier: Excel's numbers have no more.
const MOST_DIGITS: usize = 15;

/// Those that are not written down (ECMA-376, 18.8.30); 27 to 36 and 50 to 58 are days in East Asia.
fn is_built_in_day(id: u32) -> bool {
    matches!(id, 14..=22 | 27..=36 | 45..=47 | 50..=58)
}

fn shown(code: &str) -> Shown {
    match code {
        _ if (2..=MOST_DIGITS).contains(&code.len()) && code.bytes().all(|byte| byte == b'0') => {
            Shown::Digits(code.len())
        }
        _ if shows_days(code) => Shown::Day,
        _ => Shown::Number,
    }
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
    use super::{Shown, Styles, shows_days};

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
                   <numFmt numFmtId=\"50\" formatCode=\"0.000\"/><numFmt numFmtId=\"165\" formatCode=\"00000000000\"/></numFmts><cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
                   <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"164\"/><xf numFmtId=\"50\"/><xf numFmtId=\"165\"/><xf numFmtId=\"51\"/></cellXfs></styleSheet>";
        let styles = Styles::read(xml.as_bytes()).unwrap();
        let (number, day) = (Shown::Number, Shown::Day);
        let all = [0, 1, 2, 3, 4, 5, 6].map(|place| styles.of(place));
        assert_eq!(all, [number, day, day, number, Shown::Digits(11), day, number]);
    }
}
