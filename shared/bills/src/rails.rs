//! The ways money travels: what a payer scans or types, made of a bill and its client's account.

mod ascii;
pub mod boleto;
pub mod epc;
mod error;
pub mod pix;

use serde::{Deserialize, Serialize};

use crate::{BillFacts, Currency};

pub use boleto::Boleto;
pub use epc::Epc;
pub use error::{CodeError, RailError, SettingsError};
pub use pix::Pix;

/// A way to pay, set up for one client.
pub trait Rail {
    /// In lower case, as in [`Payment`]'s `rail`.
    fn name(&self) -> &'static str;

    /// The one currency it carries.
    fn currency(&self) -> Currency;

    /// What the payer scans or types.
    ///
    /// # Errors
    /// When the rail cannot carry the bill.
    fn payload(&self, facts: &BillFacts) -> Result<Payment, RailError>;

    /// Whether it can carry the bill: as [`Rail::payload`] without an error, for who asks that of a million bills.
    fn carries(&self, facts: &BillFacts) -> bool {
        self.payload(facts).is_ok()
    }
}

/// What a payer scans or types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rail", rename_all = "lowercase")]
pub enum Payment {
    /// At a Brazilian bank: a barcode, or its digits typed.
    Boleto(boleto::Slip),
    /// PIX: the text of a QR code, which can be pasted too.
    Pix {
        /// A BR Code.
        code: String,
    },
    /// A transfer within SEPA: the text of a QR code.
    Epc {
        /// Lines as EPC069-12 has them.
        code: String,
        /// The account, in groups of four.
        iban: String,
        /// Which the payer gives with the transfer: ISO 11649, in groups of four.
        reference: String,
    },
}
