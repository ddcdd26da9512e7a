//! Account numbers, and the check digits they share with creditor references.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rails::SettingsError;

/// An account number whose check digits are right. A country's own length is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Iban(String);

impl Iban {
    /// Without blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Iban {
    type Err = SettingsError;

    /// Blanks may stand anywhere.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let iban: String = text.chars().filter(|character| *character != ' ').collect();
        let plausible = (15..=34).contains(&iban.len())
            && iban.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && iban.bytes().take(2).all(|byte| byte.is_ascii_uppercase())
            && iban.bytes().skip(2).take(2).all(|byte| byte.is_ascii_digit());
        if plausible {
            let bytes = iban.as_bytes();
            let check = check_digits(&bytes[4..], [bytes[0], bytes[1]]);
            if format!("{check:02}").as_bytes() == &bytes[2..4] {
                return Ok(Self(iban));
            }
        }
        Err(SettingsError::Iban(text.to_owned()))
    }
}

impl TryFrom<String> for Iban {
    type Error = SettingsError;

    fn try_from(text: String) -> Result<Self, SettingsError> {
        text.parse()
    }
}

impl From<Iban> for String {
    fn from(iban: Iban) -> Self {
        iban.0
    }
}

/// ISO 7064, modulo 97: of capital letters and digits.
pub(super) fn check_digits(body: &[u8], prefix: [u8; 2]) -> u32 {
    let rest = body.iter().chain(&prefix).chain(b"00").fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    98 - rest
}

/// In groups of four.
pub(super) fn groups(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at.is_multiple_of(4) {
            out.push(' ');
        }
        out.push(character);
    }
    out
}
