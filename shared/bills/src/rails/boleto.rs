//! The boleto: a barcode of 44 digits, which a payer may also type as 47 (the *linha digitável*).

mod barcode;
mod check;
mod factor;
mod layout;
mod line;

use std::fmt::Write;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{BillFacts, Currency};

use super::{Payment, Rail, RailError, SettingsError};
use layout::FreeField;

pub use barcode::Barcode;
pub use layout::LAYOUT;
pub use line::Line;

/// A client's account for boletos, ready to make barcodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BoletoSettings", into = "BoletoSettings")]
pub struct Boleto {
    settings: BoletoSettings,
    bank: [u8; 3],
    free_field: FreeField,
}

/// A client's account for boletos, as the bank wrote it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoletoSettings {
    /// The bank's code, 3 digits.
    pub bank: String,
    /// What stands beside the code on the slip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_name: Option<String>,
    /// *Agência*, without its check digit.
    pub agency: String,
    /// *Conta* or *código do beneficiário*, as the bank's layout wants it.
    pub account: String,
    /// *Carteira*.
    pub wallet: String,
    /// What stands where in the free field's 25 digits: `A` agency, `C` account, `W` wallet, `N` our number (the bill's),
    /// a digit itself. Parts are filled up with zeros on the left. Banks differ; the default is [`LAYOUT`].
    #[serde(default = "layout::default")]
    pub layout: String,
}

/// What a boleto's page shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    /// 44 digits, to scan.
    pub barcode: Barcode,
    /// 47 digits, to type.
    pub linha_digitavel: Line,
    /// The bank's name, when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_name: Option<String>,
    /// Agency and account.
    pub account: String,
    /// *Carteira*.
    pub wallet: String,
    /// *Nosso número*.
    pub our_number: String,
}

impl Boleto {
    /// The barcode alone: nothing is allocated.
    ///
    /// # Errors
    /// When amount (in centavos), due date or number do not fit.
    pub fn barcode(&self, number: u64, amount_minor: i64, due_on: Date) -> Result<Barcode, RailError> {
        let amount = match u64::try_from(amount_minor) {
            Ok(amount @ 1..=9_999_999_999) => amount,
            _ => return Err(RailError::Amount { rail: "boleto", minor: amount_minor }),
        };
        let factor = factor::of(due_on).ok_or(RailError::DueDate(due_on))?;
        let free_field = self
            .free_field
            .with(number)
            .ok_or(RailError::Number { number, digits: self.free_field.number_digits() })?;
        Ok(Barcode::new(self.bank, factor, amount, free_field))
    }

    /// What it was made of.
    pub fn settings(&self) -> &BoletoSettings {
        &self.settings
    }
}

impl TryFrom<BoletoSettings> for Boleto {
    type Error = SettingsError;

    fn try_from(settings: BoletoSettings) -> Result<Self, SettingsError> {
        let bank = match settings.bank.as_bytes() {
            [a, b, c] if settings.bank.bytes().all(|byte| byte.is_ascii_digit()) => [*a, *b, *c],
            _ => return Err(SettingsError::Digits { field: "bank", value: settings.bank, max: 3 }),
        };
        let free_field = FreeField::new(&settings.layout, &settings.agency, &settings.account, &settings.wallet)?;
        Ok(Self { settings, bank, free_field })
    }
}

impl From<Boleto> for BoletoSettings {
    fn from(boleto: Boleto) -> Self {
        boleto.settings
    }
}

impl Rail for Boleto {
    fn name(&self) -> &'static str {
        "boleto"
    }

    fn currency(&self) -> Currency {
        Currency::BRL
    }

    fn payload(&self, facts: &BillFacts) -> Result<Payment, RailError> {
        if facts.amount.currency != self.currency() {
            return Err(RailError::Currency { rail: self.name(), currency: facts.amount.currency });
        }
        let barcode = self.barcode(facts.number, facts.asked().minor, facts.due_on)?;
        let mut our_number = String::with_capacity(25);
        write!(our_number, "{:0width$}", facts.number, width = self.free_field.number_digits())
            .expect("a String takes everything");
        Ok(Payment::Boleto(Slip {
            barcode,
            linha_digitavel: barcode.line(),
            bank_name: self.settings.bank_name.clone(),
            account: format!("{} / {}", self.settings.agency, self.settings.account),
            wallet: self.settings.wallet.clone(),
            our_number,
        }))
    }
}
