//! The 44 digits.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{check, factor, line::Line};
use crate::rails::CodeError;

/// A boleto's barcode: bank (3 digits), currency (9), check digit, due-date factor (4), amount in centavos (10), free
/// field (25).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Barcode([u8; 44]);

impl Barcode {
    /// `factor` has at most 4 digits, `amount` at most 10.
    pub(super) fn new(bank: [u8; 3], factor: u16, amount: u64, free_field: [u8; 25]) -> Self {
        let mut digits = [b'0'; 44];
        digits[..3].copy_from_slice(&bank);
        digits[3] = b'9';
        write(&mut digits[5..9], u64::from(factor));
        write(&mut digits[9..19], amount);
        digits[19..].copy_from_slice(&free_field);
        digits[4] = check::mod11(&digits);
        Self(digits)
    }

    /// Digits that are known to be digits.
    pub(super) fn checked(digits: [u8; 44]) -> Result<Self, CodeError> {
        if digits[3] != b'9' {
            return Err(CodeError::Form("boleto in reais"));
        }
        if check::mod11(&digits) != digits[4] {
            return Err(CodeError::Check("the barcode's check digit"));
        }
        Ok(Self(digits))
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits")
    }

    pub(super) fn digits(&self) -> &[u8; 44] {
        &self.0
    }

    /// The bank's code.
    pub fn bank(&self) -> &str {
        &self.as_str()[..3]
    }

    /// In centavos; 0 when the payer says how much.
    pub fn amount_minor(&self) -> i64 {
        self.0[9..19].iter().fold(0, |amount, digit| amount * 10 + i64::from(digit - b'0'))
    }

    /// The last 25 digits, which the bank lays out.
    pub fn free_field(&self) -> &str {
        &self.as_str()[19..]
    }

    /// The day it is due, as seen on the day `reference`: the factor comes round every 9000 days, and stands for the
    /// day between 3000 days before and 5500 days after. `None` when there is none in that time, or no due date at all.
    pub fn due_on(&self, reference: Date) -> Option<Date> {
        factor::read(self.0[5..9].iter().fold(0, |factor, digit| factor * 10 + u16::from(digit - b'0')), reference)
    }

    /// What a payer types.
    pub fn line(&self) -> Line {
        Line::of(self)
    }
}

/// `value` in decimal, filled up with zeros.
pub(super) fn write(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The digits of `text` without blanks, points and dashes.
pub(super) fn digits<const N: usize>(text: &str) -> Result<[u8; N], CodeError> {
    let mut digits = [0; N];
    let mut found = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if let Some(place) = digits.get_mut(found) {
                    *place = byte;
                }
                found += 1;
            }
            b' ' | b'.' | b'-' => {}
            _ => return Err(CodeError::NotADigit { at }),
        }
    }
    if found == N { Ok(digits) } else { Err(CodeError::Length { found, wanted: N }) }
}

impl FromStr for Barcode {
    type Err = CodeError;

    /// Blanks, points and dashes may stand between the digits.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        Self::checked(digits(text)?)
    }
}

impl TryFrom<String> for Barcode {
    type Error = CodeError;

    fn try_from(text: String) -> Result<Self, CodeError> {
        text.parse()
    }
}

impl From<Barcode> for String {
    fn from(barcode: Barcode) -> Self {
        barcode.as_str().to_owned()
    }
}

impl fmt::Display for Barcode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Barcode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
