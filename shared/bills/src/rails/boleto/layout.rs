//! What stands where in the free field.

use super::barcode;
use crate::rails::{SettingsError, error::just_digits};

/// The layout of a bank that is not known, when none is given: agency 4, wallet 2, our number 11, account 7, a zero.
pub const LAYOUT: &str = "AAAAWWNNNNNNNNNNNCCCCCCC0";

/// The free field of a client's boletos, with a gap for the bill's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FreeField {
    digits: [u8; 25],
    from: usize,
    to: usize,
}

impl FreeField {
    pub(super) fn new(layout: &str, agency: &str, account: &str, wallet: &str) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Layout(layout.to_owned());
        let places: [u8; 25] = layout.as_bytes().try_into().map_err(|_| wrong())?;
        if !places.iter().all(|place| matches!(place, b'A' | b'C' | b'N' | b'W' | b'0'..=b'9')) {
            return Err(wrong());
        }
        let span = |letter: u8| {
            let Some(from) = places.iter().position(|place| *place == letter) else { return Ok(0..0) };
            let to = from + places[from..].iter().take_while(|place| **place == letter).count();
            if places[to..].contains(&letter) { Err(wrong()) } else { Ok(from..to) }
        };
        let mut digits = places;
        for (field, letter, value) in [("agency", b'A', agency), ("account", b'C', account), ("wallet", b'W', wallet)] {
            let span = span(letter)?;
            if span.is_empty() {
                continue;
            }
            just_digits(field, value, 1, span.len())?;
            let part = &mut digits[span];
            let zeros = part.len() - value.len();
            part[..zeros].fill(b'0');
            part[zeros..].copy_from_slice(value.as_bytes());
        }
        let number = span(b'N')?;
        if number.is_empty() { Err(wrong()) } else { Ok(Self { digits, from: number.start, to: number.end }) }
    }

    /// Digits of "our number".
    pub(super) fn number_digits(&self) -> usize {
        self.to - self.from
    }

    /// `None` when the number has more digits than there is room for.
    pub(super) fn with(&self, number: u64) -> Option<[u8; 25]> {
        if 10_u64.checked_pow(self.number_digits() as u32).is_some_and(|end| number >= end) {
            return None;
        }
        let mut digits = self.digits;
        barcode::write(&mut digits[self.from..self.to], number);
        Some(digits)
    }
}
