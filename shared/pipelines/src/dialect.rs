//! How a file is written: what cuts its records, and what its texts mean.

use serde::{Deserialize, Serialize};

/// What separates the fields of a record.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
#[repr(u8)]
pub enum Delimiter {
    /// `,`
    #[default]
    #[serde(rename = ",")]
    Comma = b',',
    /// `;`, as where the comma is the decimal mark.
    #[serde(rename = ";")]
    Semicolon = b';',
    /// `\t`; it is no blank then.
    #[serde(rename = "\t")]
    Tab = b'\t',
    /// `|`
    #[serde(rename = "|")]
    Pipe = b'|',
}

impl Delimiter {
    /// Every delimiter.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The byte.
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

/// How a file's records are cut and taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header, then records with a delimiter between their fields.
    Csv(Delimiter),
    /// Lines of JSON, an object each.
    Ndjson,
}

impl Format {
    /// What separates fields outside of quotes; lines of JSON are not cut by it.
    pub(crate) fn delimiter(self) -> u8 {
        match self {
            Self::Csv(delimiter) => delimiter.byte(),
            Self::Ndjson => Delimiter::Comma.byte(),
        }
    }
}

/// All that must be known of a file, beside its header, to read its records. That of a plain file is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What separates fields; lines of JSON have none.
    pub delimiter: Delimiter,
    /// For each column of the kind, in the kind's order, its place in the header, if the file has it. `None`: columns are
    /// found by their names. Those that are not said are not there.
    pub places: Option<Vec<Option<usize>>>,
}

#[cfg(test)]
mod tests {
    use super::Delimiter;

    #[test]
    fn delimiters_are_written_as_they_are_and_said_by_words() {
        for (delimiter, byte, word) in [
            (Delimiter::Comma, ",", "comma"),
            (Delimiter::Semicolon, ";", "semicolon"),
            (Delimiter::Tab, "\t", "tab"),
            (Delimiter::Pipe, "|", "pipe"),
        ] {
            assert_eq!(byte.as_bytes(), [delimiter.byte()]);
            assert_eq!(serde_json::to_value(delimiter).unwrap(), byte);
            assert_eq!(serde_json::from_value::<Delimiter>(byte.into()).unwrap(), delimiter);
            assert_eq!((delimiter.to_string(), word.parse()), (word.to_owned(), Ok(delimiter)));
        }
        assert!("colon".parse::<Delimiter>().is_err());
    }
}
