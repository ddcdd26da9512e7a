//! What is said of a file before it is read, and what is found in it.

mod say;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Columns, DateOrder, Decimal, Delimiter, Example, Reading, UseProfile, Values,
    charset::{Charset, Sayer},
};

/// What somebody says of a file. It is believed, unless the file shows that it is wrong; what is not said is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// In which characters it is written, and who says so.
    pub charset: Option<(Charset, Sayer)>,
    /// What separates its fields.
    pub delimiter: Option<Delimiter>,
    /// The line of its header, from 1.
    pub header_line: Option<u64>,
    /// The decimal mark of its amounts.
    pub decimal: Option<Decimal>,
    /// The order of its dates.
    pub dates: Option<DateOrder>,
    /// Which of its columns are which.
    pub columns: Columns,
    /// Which file of an archive it is.
    pub entry: Option<String>,
    /// Which sheet of a workbook it is: its name, or `#2` for the second one.
    pub sheet: Option<String>,
    /// What was saved of such files, and holds where nothing is said here.
    pub profile: UseProfile,
}

impl Said {
    /// The parameters that say something, in one order.
    pub fn parameters(&self) -> Vec<&'static str> {
        self.words().map(|(name, _)| name).collect()
    }

    /// A parameter that was sent and says how a text is written, which a workbook has not.
    pub fn of_text(&self) -> Option<&'static str> {
        match self {
            Self { charset: Some((_, Sayer::Parameter)), .. } => Some("encoding"),
            Self { delimiter: Some(_), .. } => Some("delimiter"),
            _ => None,
        }
    }

    /// Each parameter that says something, in one order, and what it says. Of characters only others than ours: UTF-8 is what nearly
    /// every client says of whatever it sends.
    fn words(&self) -> impl Iterator<Item = (&'static str, String)> {
        let charset = self.charset.map(|(charset, _)| charset).filter(|charset| *charset != Charset::Utf8);
        let said = [
            ("encoding", charset.map(|charset| charset.to_string())),
            ("delimiter", self.delimiter.map(|delimiter| delimiter.to_string())),
            ("header_line", self.header_line.map(|line| line.to_string())),
            ("decimal", self.decimal.map(|decimal| decimal.to_string())),
            ("dates", self.dates.map(|dates| dates.to_string())),
            ("columns", (!self.columns.is_empty()).then(|| self.columns.to_string())),
            ("entry", self.entry.clone()),
            ("sheet", self.sheet.clone()),
            ("profile", self.profile.word().map(str::to_owned)),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// As parameters: what is equal is written alike.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (name, value) in self.words() {
            write!(f, "{between}{name}={value}")?;
            between = "&";
        }
        Ok(())
    }
}

/// What the records of a file stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Container {
    /// An array of JSON: its lines are its elements.
    #[serde(rename = "json array")]
    JsonArray,
    /// A ZIP archive.
    #[serde(rename = "zip")]
    Zip,
    /// A workbook of Excel: its lines are the rows of a sheet.
    #[serde(rename = "xlsx")]
    Xlsx,
    /// A spreadsheet of LibreOffice: as one of Excel.
    #[serde(rename = "ods")]
    Ods,
}

impl Container {
    /// Whether its text was made of the rows of a sheet.
    pub const fn is_workbook(self) -> bool {
        matches!(self, Self::Xlsx | Self::Ods)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JsonArray => "json array",
            Self::Zip => "zip",
            Self::Xlsx => "xlsx",
            Self::Ods => "ods",
        })
    }
}

/// How a file is written, as it was said or found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dialect {
    /// What its records stand in; none: the file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Which file of an archive it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Which sheet of a workbook it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The characters; what is nothing but ASCII is UTF-8.
    pub encoding: Charset,
    /// What separates fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// The line of the header, from 1.
    pub header_line: u64,
    /// A line `sep=` stands before the header, as Excel reads it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sep_line: bool,
    /// The decimal mark of amounts, where it was said or found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// The order of dates, where it was said or found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<DateOrder>,
    /// What else is known of how amounts and dates are written, where that was found: of no use to people.
    #[serde(skip)]
    pub found: Values,
    /// For each column of the kind its place in the header, from 0, where they were not found by their own names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Option<usize>>>,
    /// The client's profile that holds for it: named, or chosen by the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Which of these were said by whoever sent it, by the names of the parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// What shows those that were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Shown>,
}

/// What shows how a file is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// By the name of its parameter.
    pub what: String,
    /// The line, from 1.
    pub line: u64,
    /// What stands there.
    pub text: String,
}

impl Shown {
    pub(crate) fn of(what: &str, example: Example) -> Self {
        Self { what: what.to_owned(), line: example.line, text: example.value }
    }
}

impl Dialect {
    /// Whether nothing has to be known of the file to read it, beside its kind.
    pub fn is_plain(&self) -> bool {
        let Self {
            container,
            entry,
            sheet,
            encoding,
            delimiter,
            header_line,
            sep_line,
            decimal,
            dates,
            found,
            columns,
            profile,
            said,
            evidence,
        } = self;
        container.is_none()
            && entry.is_none()
            && sheet.is_none()
            && *encoding == Charset::Utf8
            && delimiter.is_none_or(|delimiter| delimiter == Delimiter::Comma)
            && *header_line <= 1
            && !sep_line
            && decimal.is_none()
            && dates.is_none()
            && *found == Values::UNKNOWN
            && columns.is_none()
            && profile.is_none()
            && said.is_empty()
            && evidence.is_empty()
    }

    /// What has to be known to read its records.
    pub fn reading(&self) -> Reading {
        Reading {
            delimiter: self.delimiter.unwrap_or_default(),
            values: Values { decimal: self.decimal, dates: self.dates, ..self.found },
            places: self.columns.clone(),
        }
    }
}
