//! PIX: a BR Code, which is an EMV QR code of tags, lengths and values.

mod code;
mod crc;
mod key;

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::{BillFacts, Currency};

use super::{Payment, Rail, RailError, SettingsError, ascii::ascii};

pub use code::PixCode;
pub use key::registered;

const GUI: &str = "br.gov.bcb.pix";
/// Characters of the field of an amount.
const MAX_AMOUNT: i64 = 999_999_999_999;

/// A client's PIX key, ready to make codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PixSettings", into = "PixSettings")]
pub struct Pix {
    settings: PixSettings,
    /// What stands before and behind the amount in every code.
    head: String,
    tail: String,
}

/// A client's PIX key and what payers see of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixSettings {
    /// CPF, CNPJ, phone (`+55…`), mail address or random key, at most 77 characters. The codes have it as it is
    /// [`registered`]; one that is nothing of these stands there as it was given.
    pub key: String,
    /// Of the receiver; accents go, at most 25 characters are kept.
    pub name: String,
    /// Of the receiver; accents go, at most 15 characters are kept.
    pub city: String,
}

impl Pix {
    /// The code alone. Without an amount the payer says how much; without an id it is `***`.
    ///
    /// # Errors
    /// When the amount (in centavos) is not positive or too large.
    pub fn code(&self, id: Option<u64>, amount_minor: Option<i64>) -> Result<String, RailError> {
        let mut code = String::with_capacity(self.head.len() + self.tail.len() + 64);
        code.push_str(&self.head);
        if let Some(minor) = amount_minor {
            if !(1..=MAX_AMOUNT).contains(&minor) {
                return Err(RailError::Amount { rail: "pix", minor, most: MAX_AMOUNT });
            }
            let digits = (minor / 100).checked_ilog10().unwrap_or(0) + 1 + 3;
            write(&mut code, format_args!("54{digits:02}{}.{:02}", minor / 100, minor % 100));
        }
        code.push_str(&self.tail);
        match id {
            Some(id) => {
                let digits = id.checked_ilog10().unwrap_or(0) + 1;
                write(&mut code, format_args!("62{:02}05{digits:02}{id}", digits + 4));
            }
            None => code.push_str("62070503***"),
        }
        code.push_str("6304");
        let crc = crc::crc16(code.as_bytes());
        write(&mut code, format_args!("{crc:04X}"));
        Ok(code)
    }

    /// What it was made of.
    pub fn settings(&self) -> &PixSettings {
        &self.settings
    }
}

fn write(code: &mut String, arguments: std::fmt::Arguments<'_>) {
    code.write_fmt(arguments).expect("a String takes everything");
}

impl TryFrom<PixSettings> for Pix {
    type Error = SettingsError;

    fn try_from(settings: PixSettings) -> Result<Self, SettingsError> {
        let text = |field, value: &str| SettingsError::Text { field, value: value.to_owned() };
        let key = &registered(&settings.key).unwrap_or_else(|| settings.key.clone());
        if key.is_empty() || key.len() > 77 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(text("key", key));
        }
        let (name, city) = (ascii(&settings.name, 25), ascii(&settings.city, 15));
        if name.is_empty() {
            return Err(text("name", &settings.name));
        }
        if city.is_empty() {
            return Err(text("city", &settings.city));
        }
        let account = format!("00{:02}{GUI}01{:02}{key}", GUI.len(), key.len());
        let head = format!("00020126{:02}{account}520400005303986", account.len());
        let tail = format!("5802BR59{:02}{name}60{:02}{city}", name.len(), city.len());
        Ok(Self { settings, head, tail })
    }
}

impl From<Pix> for PixSettings {
    fn from(pix: Pix) -> Self {
        pix.settings
    }
}

impl Rail for Pix {
    fn name(&self) -> &'static str {
        "pix"
    }

    fn currency(&self) -> Currency {
        Currency::BRL
    }

    fn payload(&self, facts: &BillFacts) -> Result<Payment, RailError> {
        if facts.amount.currency != self.currency() {
            return Err(RailError::Currency { rail: self.name(), currency: facts.amount.currency });
        }
        Ok(Payment::Pix { code: self.code(Some(facts.number), Some(facts.rest().minor))? })
    }

    /// Nothing else than currency and amount can be too much for a code.
    fn carries(&self, facts: &BillFacts) -> bool {
        facts.amount.currency == self.currency() && (1..=MAX_AMOUNT).contains(&facts.rest().minor)
    }
}
