//! A SEPA transfer as a QR code, after EPC069-12, version 2.

mod iban;

use serde::{Deserialize, Serialize};

use crate::{BillFacts, Currency};

use super::{Payment, Rail, RailError, SettingsError, ascii::ascii};

pub use iban::Iban;

/// 999 999 999.99 euro.
const MAX_AMOUNT: i64 = 99_999_999_999;

/// A client's account in the SEPA area, ready to make codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "EpcSettings", into = "EpcSettings")]
pub struct Epc {
    settings: EpcSettings,
    /// What stands before the amount in every code.
    head: String,
}

/// A client's account in the SEPA area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpcSettings {
    /// The account.
    pub iban: Iban,
    /// Of the account's holder, at most 70 characters; accents go, as readers of the code take them for other letters.
    pub name: String,
    /// Its bank; within the EEA nobody asks for it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<String>,
}

impl Epc {
    /// The code alone.
    ///
    /// # Errors
    /// When the amount (in cents) is not positive or too large.
    pub fn code(&self, number: u64, amount_minor: i64) -> Result<String, RailError> {
        if !(1..=MAX_AMOUNT).contains(&amount_minor) {
            return Err(RailError::Amount { rail: "epc", minor: amount_minor, most: MAX_AMOUNT });
        }
        let (whole, cents) = (amount_minor / 100, amount_minor % 100);
        // no purpose; a structured reference, so no remittance text
        Ok(format!("{}EUR{whole}.{cents:02}\n\n{}", self.head, reference(number)))
    }

    /// What it was made of.
    pub fn settings(&self) -> &EpcSettings {
        &self.settings
    }
}

/// A creditor reference of ISO 11649: `RF`, two check digits, the bill's number.
pub fn reference(number: u64) -> String {
    let number = number.to_string();
    let check = iban::check_digits(number.as_bytes(), *b"RF");
    format!("RF{check:02}{number}")
}

impl TryFrom<EpcSettings> for Epc {
    type Error = SettingsError;

    fn try_from(settings: EpcSettings) -> Result<Self, SettingsError> {
        let text = |field, value: &str| SettingsError::Text { field, value: value.to_owned() };
        let name = ascii(&settings.name, 70);
        if name.is_empty() {
            return Err(text("name", &settings.name));
        }
        let bic = settings.bic.as_deref().unwrap_or("");
        let letters = |part: &[u8]| part.iter().all(u8::is_ascii_uppercase);
        let plausible = matches!(bic.len(), 8 | 11)
            && letters(&bic.as_bytes()[..6])
            && bic.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if settings.bic.is_some() && !plausible {
            return Err(text("bic", bic));
        }
        let head = format!("BCD\n002\n1\nSCT\n{bic}\n{name}\n{}\n", settings.iban.as_str());
        Ok(Self { settings, head })
    }
}

impl From<Epc> for EpcSettings {
    fn from(epc: Epc) -> Self {
        epc.settings
    }
}

impl Rail for Epc {
    fn name(&self) -> &'static str {
        "epc"
    }

    fn currency(&self) -> Currency {
        Currency::EUR
    }

    fn payload(&self, facts: &BillFacts) -> Result<Payment, RailError> {
        if facts.amount.currency != self.currency() {
            return Err(RailError::Currency { rail: self.name(), currency: facts.amount.currency });
        }
        Ok(Payment::Epc {
            code: self.code(facts.number, facts.rest().minor)?,
            iban: iban::groups(self.settings.iban.as_str()),
            reference: iban::groups(&reference(facts.number)),
        })
    }
}
