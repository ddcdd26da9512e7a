//! The 47 digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Barcode, barcode::digits, check};
use crate::rails::CodeError;

/// A *linha digitável*: the barcode's digits in an order for typing, in three fields with a check digit each, the
/// barcode's check digit, and factor with amount.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line([u8; 47]);

/// Where the three checked fields begin and end, check digits included.
const FIELDS: [(usize, usize, &str); 3] = [
    (0, 10, "the first field's check digit"),
    (10, 21, "the second field's check digit"),
    (21, 32, "the third field's check digit"),
];

impl Line {
    pub(super) fn of(barcode: &Barcode) -> Self {
        let from = barcode.digits();
        let mut line = [b'0'; 47];
        line[..4].copy_from_slice(&from[..4]);
        line[4..9].copy_from_slice(&from[19..24]);
        line[10..20].copy_from_slice(&from[24..34]);
        line[21..31].copy_from_slice(&from[34..44]);
        line[32] = from[4];
        line[33..].copy_from_slice(&from[5..19]);
        for (begin, end, _) in FIELDS {
            line[end - 1] = check::mod10(&line[begin..end - 1]);
        }
        Self(line)
    }

    /// All digits, without separators; with them by `to_string`.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits")
    }

    /// The same as a barcode.
    pub fn barcode(&self) -> Barcode {
        Self::read(&self.0).expect("a line is checked when it is made")
    }

    fn read(line: &[u8; 47]) -> Result<Barcode, CodeError> {
        for (begin, end, name) in FIELDS {
            if check::mod10(&line[begin..end - 1]) != line[end - 1] {
                return Err(CodeError::Check(name));
            }
        }
        let mut barcode = [b'0'; 44];
        barcode[..4].copy_from_slice(&line[..4]);
        barcode[4] = line[32];
        barcode[5..19].copy_from_slice(&line[33..]);
        barcode[19..24].copy_from_slice(&line[4..9]);
        barcode[24..34].copy_from_slice(&line[10..20]);
        barcode[34..].copy_from_slice(&line[21..31]);
        Barcode::checked(barcode)
    }
}

impl FromStr for Line {
    type Err = CodeError;

    /// Blanks, points and dashes may stand between the digits.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let line = digits(text)?;
        Self::read(&line).map(|_| Self(line))
    }
}

impl TryFrom<String> for Line {
    type Error = CodeError;

    fn try_from(text: String) -> Result<Self, CodeError> {
        text.parse()
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.as_str().to_owned()
    }
}

impl fmt::Display for Line {
    /// `23790.44809 56168.623793 36011.058009 7 40430000124020`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        write!(
            out,
            "{}.{} {}.{} {}.{} {} {}",
            &text[..5],
            &text[5..10],
            &text[10..15],
            &text[15..21],
            &text[21..26],
            &text[26..32],
            &text[32..33],
            &text[33..]
        )
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
