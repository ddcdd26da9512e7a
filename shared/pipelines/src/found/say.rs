//! What is said of a file, from words.

use std::fmt::Display;

use super::Said;
use crate::{
    Columns, DateOrder, Decimal, Delimiter, Kind,
    charset::{Charset, Sayer},
};

/// Bytes.
const MOST_OF_A_NAME: usize = 1024;

impl Said {
    /// The parameters that say something, in one order.
    pub const PARAMETERS: [&'static str; 8] =
        ["encoding", "delimiter", "header_line", "decimal", "dates", "columns", "entry", "sheet"];

    /// Takes what a parameter says. What is said of columns is of those of the kind; that of no kind is not looked at.
    ///
    /// # Errors
    /// When it cannot be said, with what can.
    pub fn say(&mut self, kind: Option<Kind>, parameter: &str, text: &str) -> Result<(), String> {
        match parameter {
            "encoding" => {
                let charset: Charset = text.parse().map_err(|unknown| format!("{unknown}"))?;
                self.charset = Some((charset, Sayer::Parameter));
            }
            "delimiter" => self.delimiter = Some(delimiter(text)?),
            "header_line" => self.header_line = Some(header_line(text)?),
            "decimal" => self.decimal = Some(word(text, Decimal::ALL)?),
            "dates" => self.dates = Some(word(text, DateOrder::ALL)?),
            "columns" => {
                let columns = kind.map(|kind| Columns::read(kind, text)).transpose();
                self.columns = columns.map_err(|bad| bad.to_string())?.unwrap_or_default();
            }
            "entry" => self.entry = Some(name(text)?),
            "sheet" => self.sheet = Some(name(text)?),
            other => return Err(format!("'{other}' is none of {}", Self::PARAMETERS.join(", "))),
        }
        Ok(())
    }
}

/// By its name, or itself.
fn delimiter(said: &str) -> Result<Delimiter, String> {
    let itself = Delimiter::ALL.iter().find(|delimiter| said.as_bytes() == [delimiter.byte()]);
    itself.map_or_else(|| word(said, Delimiter::ALL), |delimiter| Ok(*delimiter))
}

/// Of a file or a sheet: as it is.
fn name(said: &str) -> Result<String, String> {
    match said.trim().is_empty() || said.len() > MOST_OF_A_NAME {
        true => Err(format!("a name has 1 to {MOST_OF_A_NAME} bytes")),
        false => Ok(said.to_owned()),
    }
}

fn header_line(said: &str) -> Result<u64, String> {
    said.parse::<u64>()
        .ok()
        .filter(|line| *line > 0)
        .ok_or_else(|| format!("'{said}' is not the number of a line, from 1"))
}

fn word<T: Copy + Display>(said: &str, all: &[T]) -> Result<T, String> {
    let found = all.iter().find(|known| known.to_string().eq_ignore_ascii_case(said));
    found.copied().ok_or_else(|| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        format!("'{said}' is none of {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Option<Kind>, words: &[(&str, &str)]) -> Result<String, String> {
        let mut said = Said::default();
        words.iter().try_for_each(|(parameter, text)| said.say(kind, parameter, text))?;
        Ok(said.to_string())
    }

    #[test]
    fn what_is_said_is_taken() {
        let debts = Some(Kind::Debts);
        for (words, expected) in [
            (&[][..], ""),
            (&[("delimiter", ";")], "delimiter=semicolon"),
            (&[("delimiter", "\t"), ("header_line", "4")], "delimiter=tab&header_line=4"),
            (&[("delimiter", "|")], "delimiter=pipe"),
            (&[("delimiter", "Comma"), ("encoding", "Latin1")], "encoding=windows-1252&delimiter=comma"),
            (&[("decimal", "comma"), ("dates", "dmy")], "decimal=comma&dates=dmy"),
            (&[("columns", "debtAmount:Valor Total")], "columns=debtAmount:Valor Total"),
        ] {
            assert_eq!(said(debts, words).as_deref(), Ok(expected));
        }
        assert_eq!(said(None, &[("columns", "debtAmount:x")]).as_deref(), Ok(""));
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        for (parameter, text, told) in [
            ("delimiter", "x", "'x' is none of comma, semicolon, tab, pipe"),
            ("decimal", ".", "'.' is none of point, comma"),
            ("dates", "us", "'us' is none of ymd, dmy, mdy"),
            ("header_line", "0", "'0' is not the number of a line, from 1"),
            ("encoding", "klingon", "'klingon' names no encoding; it is one such as utf-8"),
            ("columns", "amount:x", "'amount' is no column of debts"),
            ("sheet", " ", "a name has 1 to 1024 bytes"),
            (
                "colour",
                "red",
                "'colour' is none of encoding, delimiter, header_line, decimal, dates, columns, entry, sheet",
            ),
        ] {
            let found = said(Some(Kind::Debts), &[(parameter, text)]).unwrap_err();
            assert!(found.starts_with(told), "{found}");
        }
    }

    #[test]
    fn each_parameter_says_something() {
        let mut said = Said::default();
        let words = ["utf-16le", "tab", "4", "comma", "dmy", "debtId:#3", "2024/jan.csv", "#2"];
        for (parameter, text) in Said::PARAMETERS.into_iter().zip(words) {
            said.say(Some(Kind::Debts), parameter, text).unwrap();
        }
        assert_eq!(said.parameters(), Said::PARAMETERS);
    }
}
