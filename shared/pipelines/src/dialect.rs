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

/// The mark between whole units and their decimals.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Decimal {
    /// `1,234.50`
    Point,
    /// `1.234,50`
    Comma,
}

impl Decimal {
    /// Both.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    pub(crate) const fn mark(self) -> u8 {
        match self {
            Self::Point => b'.',
            Self::Comma => b',',
        }
    }

    /// The one that parts thousands.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }
}

/// The order of a date's parts.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum DateOrder {
    /// `2024/12/31`
    Ymd,
    /// `31/12/2024`
    Dmy,
    /// `12/31/2024`
    Mdy,
}

impl DateOrder {
    /// Every order.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// A date in it, for people.
    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::Ymd => "YYYY/MM/DD, like 2024/01/19",
            Self::Dmy => "DD/MM/YYYY, like 19/01/2024",
            Self::Mdy => "MM/DD/YYYY, like 01/19/2024",
        }
    }
}

/// How amounts and dates are written, as far as that is known. What is not known is read by the kind's own rule, which takes
/// no text that has two meanings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Values {
    /// The decimal mark of amounts; thousands may be parted then, and a currency may stand beside the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// The order of dates; one that begins with a year of four digits is read in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<DateOrder>,
    /// The decimal mark was found, and nothing shows a third decimal: what may be thousands, such as `1.500`, has no meaning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub two_decimals: bool,
    /// The order was found by years of four digits: one of two has no meaning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub long_years: bool,
}

impl Values {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { decimal: None, dates: None, two_decimals: false, long_years: false };
}

/// All that must be known of a file, beside its header, to read its records. That of a plain file is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What separates fields; lines of JSON have none.
    pub delimiter: Delimiter,
    /// How amounts and dates are written.
    #[serde(flatten)]
    pub values: Values,
    /// For each column of the kind, in the kind's order, its place in the header, if the file has it. `None`: columns are
    /// found by their names. Those that are not said are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<Option<usize>>>,
}

#[cfg(test)]
mod tests {
    use super::{DateOrder, Decimal, Delimiter, Reading, Values};

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

    #[test]
    fn what_was_said_is_kept_as_before() {
        let said = Values { decimal: Some(Decimal::Comma), dates: Some(DateOrder::Ymd), ..Values::UNKNOWN };
        let kept = serde_json::json!({"delimiter": ",", "decimal": "comma", "dates": "ymd"});
        assert_eq!(serde_json::to_value(Reading { values: said, ..Reading::default() }).unwrap(), kept);
        assert_eq!(serde_json::from_value::<Reading>(kept).unwrap().values, said);
        let found = Values { two_decimals: true, long_years: true, ..said };
        let kept = serde_json::to_value(Reading { values: found, ..Reading::default() }).unwrap();
        assert_eq!(serde_json::from_value::<Reading>(kept).unwrap().values, found);
    }

    #[test]
    fn values_are_said_by_words() {
        for &decimal in Decimal::ALL {
            assert_eq!(serde_json::to_value(decimal).unwrap(), decimal.to_string());
            assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }
        for &order in DateOrder::ALL {
            assert_eq!(serde_json::to_value(order).unwrap(), order.to_string());
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert_eq!(("comma".parse(), "dmy".parse()), (Ok(Decimal::Comma), Ok(DateOrder::Dmy)));
    }
}
