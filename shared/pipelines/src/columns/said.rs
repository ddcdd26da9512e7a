//! What the parameter `columns=` says: `debtAmount:Valor Total,debtId:#3`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Kind,
    names::{same, shown},
};

/// Which of a file's columns are which of a kind's, as somebody says. Those that it does not mention are found by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns(Vec<(String, Which)>);

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    /// The one that is called so.
    Name(String),
    /// The one that stands there, from 0.
    Place(usize),
    /// None.
    Absent,
}

/// What is no list of columns. Says what is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadColumns {
    /// A part of it is no pair.
    #[error(
        "'{0}' is no column:name, of which columns= is a list, such as debtAmount:Valor Total,debtId:#3; a , a : and a \\ of \
         a name have a \\ before them"
    )]
    NoPair(String),
    /// The kind has no such column.
    #[error("'{name}' is no column of {kind}; there are: {all}", all = .kind.columns().join(", "))]
    NoColumn {
        /// What was said.
        name: String,
        /// The kind.
        kind: Kind,
    },
    /// A column is said twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
    /// One column of the file is said to be two.
    #[error("'{name}' is said to be {first} and {second}")]
    Both {
        /// What it is called.
        name: String,
        /// The one…
        first: String,
        /// …and the other.
        second: &'static str,
    },
    /// A column that the kind needs is said to be none.
    #[error("{0} is said to be nothing, and no file can be without it")]
    Needed(&'static str),
}

impl Columns {
    /// Reads what the parameter says: for columns of the kind, with commas between them, each its name, a colon, and the file's
    /// name for it, or `#` and its number from 1; or nothing, where the file has none. A `\` takes a comma, colon, `#` or
    /// itself for a character of a name.
    ///
    /// # Errors
    /// It is no such list, or says two things of one column.
    pub fn read(kind: Kind, text: &str) -> Result<Self, BadColumns> {
        let mut columns: Vec<(String, Which)> = Vec::new();
        for part in split(text, ',').into_iter().filter(|part| !part.trim().is_empty()) {
            let Some((column, name)) = split_once(part, ':') else {
                return Err(BadColumns::NoPair(short(part)));
            };
            let (name, column) = (name.trim(), unescaped(column));
            let known = kind.columns().iter().find(|known| same(known, column.trim()));
            let column = *known.ok_or_else(|| BadColumns::NoColumn { name: short(column.trim()), kind })?;
            let which = match name.strip_prefix('#').map(str::parse) {
                Some(Ok(number @ 1..)) => Which::Place(number - 1_usize),
                _ if name.is_empty() => Which::Absent,
                _ => Which::Name(unescaped(name)),
            };
            if which == Which::Absent && kind.needed_columns().contains(&column) {
                return Err(BadColumns::Needed(column));
            }
            for (other, of) in &columns {
                if other == column {
                    return Err(BadColumns::Twice(column));
                }
                if which != Which::Absent && *of == which {
                    return Err(BadColumns::Both { name: short(name), first: other.clone(), second: column });
                }
            }
            columns.push((column.to_owned(), which));
        }
        Ok(Self(columns))
    }

    /// Those that stand at these places of a header with these names: by their names, where no other one is called so.
    #[must_use]
    pub fn at(kind: Kind, places: &[Option<usize>], names: &[String]) -> Self {
        let which = |place: usize| {
            let name = names.get(place).map(|name| name.trim()).filter(|name| !name.is_empty());
            match name.filter(|name| names.iter().filter(|other| same(name, other)).count() == 1) {
                Some(name) => Which::Name(name.to_owned()),
                None => Which::Place(place),
            }
        };
        let columns = kind.columns().iter().zip(places);
        Self(columns.filter_map(|(column, place)| Some(((*column).to_owned(), which((*place)?)))).collect())
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, column: &str) -> Option<&Which> {
        self.0.iter().find(|(of, _)| of == column).map(|(_, which)| which)
    }
}

/// As the parameter says it.
impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (column, which)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match which {
                Which::Name(name) => write!(f, "{comma}{}", pair(column, name))?,
                Which::Place(place) => write!(f, "{comma}{column}:#{}", place + 1)?,
                Which::Absent => write!(f, "{comma}{column}:")?,
            }
        }
        Ok(())
    }
}

/// How it is said that a column has this name.
pub(crate) fn pair(column: &str, name: &str) -> String {
    let mut said = format!("{column}:");
    for (n, char) in name.chars().enumerate() {
        if matches!(char, ',' | ':' | '\\') || n == 0 && char == '#' {
            said.push('\\');
        }
        said.push(char);
    }
    said
}

fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((part, behind)) = split_once(rest, at) {
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

/// At the first such character without a `\` before it.
fn split_once(text: &str, at: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    let found = text.char_indices().find(|(_, char)| {
        let is = *char == at && !escaped;
        escaped = *char == '\\' && !escaped;
        is
    });
    found.map(|(found, char)| (&text[..found], &text[found + char.len_utf8()..]))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(if char == '\\' { chars.next().unwrap_or('\\') } else { char });
    }
    plain
}

fn short(text: &str) -> String {
    shown(text).chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<String, String> {
        Columns::read(Kind::Debts, text).map(|columns| columns.to_string()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn what_is_said_is_said_again() {
        for (text, again) in [
            ("", ""),
            ("debtAmount:Valor Total,debtId:Código", "debtAmount:Valor Total,debtId:Código"),
            (" Debt_Amount : VALOR (R$) , debtId:#3,", "debtAmount:VALOR (R$),debtId:#3"),
            (r"name:a\,b\:c\\d,debtId:\#3", r"name:a\,b\:c\\d,debtId:\#3"),
            ("name:#x", r"name:\#x"),
            ("name:#0", r"name:\#0"),
        ] {
            assert_eq!(said(text), Ok(again.to_owned()), "{text}");
            let columns = Columns::read(Kind::Debts, text).unwrap();
            assert_eq!(said(&columns.to_string()), Ok(again.to_owned()), "{text}");
            let json = serde_json::to_string(&columns).unwrap();
            assert_eq!(serde_json::from_str::<Columns>(&json).unwrap(), columns, "{json}");
        }
        let columns = Columns::read(Kind::Claims, "Plan/Group #:Plano,subscriber:#2").unwrap();
        assert_eq!(columns.to_string(), "Plan/Group #:Plano,Subscriber#:#2");
        let columns = Columns::read(Kind::Messages, "report_id:").unwrap();
        assert_eq!(columns.to_string(), "report_id:");
    }

    #[test]
    fn places_are_said_by_names_that_are_there_once() {
        let names = ["Nome", "CPF", "e-mail", "Valor, R$", "valor r$", "Data", "data", ""].map(str::to_owned);
        let places = [Some(0), Some(1), Some(2), Some(3), Some(5), Some(7)];
        let columns = Columns::at(Kind::Debts, &places, &names).to_string();
        assert_eq!(columns, r"name:Nome,governmentId:CPF,email:e-mail,debtAmount:Valor\, R$,debtDueDate:#6,debtId:#8");
        assert_eq!(said(&columns), Ok(columns));
        assert_eq!(Columns::at(Kind::Messages, &[Some(0), None], &names).to_string(), "id:Nome");
    }

    #[test]
    fn what_is_no_list_of_columns_is_told() {
        for (text, what) in [
            (
                "debtAmount",
                "'debtAmount' is no column:name, of which columns= is a list, such as debtAmount:Valor Total",
            ),
            ("valor:Valor", "'valor' is no column of debts; there are: name, governmentId, email,"),
            ("name:a,Name:b", "name is there twice"),
            ("name:a,email:a", "'a' is said to be name and email"),
            ("debtId:", "debtId is said to be nothing, and no file can be without it"),
        ] {
            assert!(said(text).unwrap_err().starts_with(what), "{text}: {:?}", said(text));
        }
    }
}
