//! In which characters a file is written: said, or found while it arrives, and read into UTF-8.
//!
//! [`Decode`] is the one stage for that: bytes of the file in, text out. ASCII is the same in nearly all of them, so nothing
//! waits before the first byte beyond it; from there on at most 1 MiB is held until `verdict` knows.

mod decode;
mod decoder;
mod single;
mod source;
mod verdict;

use std::{fmt, str::FromStr};

use encoding_rs::Encoding;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use decode::{CharsetError, Decode, Decoded, Sayer};
pub use source::source_len;

use crate::names::shown;

/// The characters that a file is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Charset {
    /// As ours.
    #[default]
    Utf8,
    /// Two bytes a unit, the lower one first.
    Utf16Le,
    /// Two bytes a unit, the higher one first.
    Utf16Be,
    /// Western Europe and America, as Windows writes it; Latin-1 is read as this.
    Windows1252,
    /// Western Europe, as DOS and banks' exports write it.
    Ibm850,
    /// The United States, as DOS writes it.
    Ibm437,
    /// Any other one. It is never found, only said.
    Named(&'static Encoding),
}

/// Names that people use and the WHATWG's list has not.
const ALSO: [(&str, Charset); 17] = [
    // what is only ASCII is UTF-8
    ("ascii", Charset::Utf8),
    ("us-ascii", Charset::Utf8),
    ("utf8-bom", Charset::Utf8),
    ("utf-8-sig", Charset::Utf8),
    ("utf16", Charset::Utf16Le),
    ("utf16le", Charset::Utf16Le),
    ("utf16be", Charset::Utf16Be),
    ("latin-1", Charset::Windows1252),
    ("latin_1", Charset::Windows1252),
    ("windows1252", Charset::Windows1252),
    ("ibm850", Charset::Ibm850),
    ("cp850", Charset::Ibm850),
    ("850", Charset::Ibm850),
    ("ibm437", Charset::Ibm437),
    ("cp437", Charset::Ibm437),
    ("437", Charset::Ibm437),
    ("macroman", Charset::Named(encoding_rs::MACINTOSH)),
];

impl Charset {
    /// Which one a label means: those of the WHATWG's "Encoding", and some more. `None`: none that is read.
    pub fn of_label(label: &str) -> Option<Self> {
        let label = label.trim();
        if let Some((_, charset)) = ALSO.iter().find(|(name, _)| name.eq_ignore_ascii_case(label)) {
            return Some(*charset);
        }
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        // in the first an ASCII byte may be a part of a letter, the second is no language's
        if encoding == encoding_rs::ISO_2022_JP || encoding == encoding_rs::X_USER_DEFINED {
            return None;
        }
        Some(match encoding {
            utf8 if utf8 == encoding_rs::UTF_8 => Self::Utf8,
            le if le == encoding_rs::UTF_16LE => Self::Utf16Le,
            be if be == encoding_rs::UTF_16BE => Self::Utf16Be,
            western if western == encoding_rs::WINDOWS_1252 => Self::Windows1252,
            other => Self::Named(other),
        })
    }

    /// Its usual name, in small letters.
    pub fn name(self) -> String {
        match self {
            Self::Utf8 => "utf-8".to_owned(),
            Self::Utf16Le => "utf-16le".to_owned(),
            Self::Utf16Be => "utf-16be".to_owned(),
            Self::Windows1252 => "windows-1252".to_owned(),
            Self::Ibm850 => "ibm850".to_owned(),
            Self::Ibm437 => "ibm437".to_owned(),
            Self::Named(encoding) => encoding.name().to_ascii_lowercase(),
        }
    }

    /// Each letter is one byte.
    fn is_one_byte(self) -> bool {
        match self {
            Self::Utf8 | Self::Utf16Le | Self::Utf16Be => false,
            Self::Windows1252 | Self::Ibm850 | Self::Ibm437 => true,
            Self::Named(encoding) => encoding.is_single_byte(),
        }
    }

    /// Of UTF-16, in either order.
    fn is_wide(self) -> bool {
        matches!(self, Self::Utf16Le | Self::Utf16Be)
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A label that names no encoding, or none that is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no encoding; it is one such as utf-8, utf-16, windows-1252, iso-8859-2")]
pub struct UnknownCharset(String);

impl FromStr for Charset {
    type Err = UnknownCharset;

    fn from_str(label: &str) -> Result<Self, UnknownCharset> {
        Self::of_label(label).ok_or_else(|| UnknownCharset(shown(label).chars().take(40).collect()))
    }
}

impl Serialize for Charset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Charset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_what_is_read() {
        for (label, name) in [
            ("UTF-8", "utf-8"),
            (" us-ascii ", "utf-8"),
            ("utf-16", "utf-16le"),
            ("UTF-16BE", "utf-16be"),
            ("iso-8859-1", "windows-1252"),
            ("Latin1", "windows-1252"),
            ("cp1252", "windows-1252"),
            ("CP850", "ibm850"),
            ("ibm437", "ibm437"),
            ("iso-8859-2", "iso-8859-2"),
            ("iso-8859-15", "iso-8859-15"),
            ("windows-1250", "windows-1250"),
            ("macintosh", "macintosh"),
            ("gbk", "gbk"),
            ("shift_jis", "shift_jis"),
        ] {
            let charset = Charset::of_label(label).unwrap();
            assert_eq!(charset.name(), name, "{label}");
            assert_eq!(Charset::of_label(name), Some(charset), "{name} names itself");
            let json = serde_json::to_string(&charset).unwrap();
            assert_eq!(serde_json::from_str::<Charset>(&json).unwrap(), charset, "{json}");
        }
        for label in ["", "klingon", "iso-2022-jp", "x-user-defined", "replacement", "hz-gb-2312"] {
            assert_eq!(Charset::of_label(label), None, "{label}");
        }
    }

    #[test]
    fn an_unknown_label_is_told_so() {
        assert_eq!(
            "klingon".parse::<Charset>().unwrap_err().to_string(),
            "'klingon' names no encoding; it is one such as utf-8, utf-16, windows-1252, iso-8859-2"
        );
    }
}
