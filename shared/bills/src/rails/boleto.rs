//! The boleto: a barcode of 44 digits, which a payer may also type as 47 (the *linha digitável*).

mod bank;
mod barcode;
mod check;
mod factor;
mod layout;
mod line;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{BillFacts, Currency};

use super::{Payment, Rail, RailError, SettingsError};
use bank::Account;
use layout::FreeField;

pub use bank::SUPPORTED;
pub use barcode::Barcode;
pub use layout::LAYOUT;
pub use line::Line;

/// Ten digits of the barcode.
const MAX_AMOUNT: i64 = 9_999_999_999;

/// A client's account for boletos, ready to make barcodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BoletoSettings", into = "BoletoSettings")]
pub struct Boleto {
    settings: BoletoSettings,
    bank: [u8; 3],
    way: Way,
}

/// How the free field is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// As the bank does.
    Bank(Account),
    /// As the client has written it.
    Layout(FreeField),
}

impl Way {
    fn with(&self, number: u64, issued_on: Date) -> Option<([u8; 25], String)> {
        match self {
            Self::Bank(account) => account.with(number, issued_on),
            Self::Layout(field) => {
                let shown = format!("{number:0width$}", width = field.number_digits());
                field.with(number).map(|field| (field, shown))
            }
        }
    }

    fn number_digits(&self) -> usize {
        match self {
            Self::Bank(account) => account.number_digits(),
            Self::Layout(field) => field.number_digits(),
        }
    }
}

/// A client's account for boletos, as the bank wrote it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoletoSettings {
    /// The bank's code, 3 digits.
    pub bank: String,
    /// What stands beside the code on the slip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_name: Option<String>,
    /// *Agência*, without its check digit; of Sicredi with the two digits of the *posto* behind it.
    pub agency: String,
    /// *Conta* (Bradesco, Itaú), *convênio* of 7 digits (Banco do Brasil) or *código do beneficiário* (the others), without its
    /// check digit.
    pub account: String,
    /// *Carteira*; of Caixa with the digit of who issues (14), of Sicredi the kind and the wallet (11).
    pub wallet: String,
    /// What stands where in the free field's 25 digits: `A` agency, `C` account, `W` wallet, `N` our number (the bill's),
    /// a digit itself. Parts are filled up with zeros on the left. Without one it is as the bank has it, with its check
    /// digits, where that is known ([`SUPPORTED`]), else [`LAYOUT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
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
    /// The barcode alone, of a bill that is issued on the day it is due.
    ///
    /// # Errors
    /// When amount (in centavos), due date or number do not fit.
    pub fn barcode(&self, number: u64, amount_minor: i64, due_on: Date) -> Result<Barcode, RailError> {
        self.made(number, amount_minor, due_on, due_on).map(|(barcode, _)| barcode)
    }

    /// The barcode, and "our number" as a slip shows it.
    fn made(
        &self,
        number: u64,
        amount_minor: i64,
        due_on: Date,
        issued_on: Date,
    ) -> Result<(Barcode, String), RailError> {
        let amount = match u64::try_from(amount_minor) {
            Ok(amount) if (1..=MAX_AMOUNT).contains(&amount_minor) => amount,
            _ => return Err(RailError::Amount { rail: "boleto", minor: amount_minor, most: MAX_AMOUNT }),
        };
        let factor = factor::of(due_on).ok_or(RailError::DueDate(due_on))?;
        let (free_field, our_number) =
            self.way.with(number, issued_on).ok_or(RailError::Number { number, digits: self.way.number_digits() })?;
        Ok((Barcode::new(self.bank, factor, amount, free_field), our_number))
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
            _ => return Err(SettingsError::Digits { field: "bank", value: settings.bank, min: 3, max: 3 }),
        };
        let BoletoSettings { agency, account, wallet, .. } = &settings;
        let layout = settings.layout.as_deref();
        let way = match layout.map_or_else(|| Account::new(&settings.bank, agency, account, wallet), |_| None) {
            Some(known) => Way::Bank(known?),
            None => Way::Layout(FreeField::new(layout.unwrap_or(LAYOUT), agency, account, wallet)?),
        };
        Ok(Self { settings, bank, way })
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
        let (barcode, our_number) = self.made(facts.number, facts.rest().minor, facts.due_on, facts.issued_on)?;
        // A bank reads the factor by the day on which it does, and a payer by the page: both must be the same day.
        if barcode.due_on(facts.issued_on) != Some(facts.due_on) {
            return Err(RailError::Unreadable { due_on: facts.due_on, issued_on: facts.issued_on });
        }
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
