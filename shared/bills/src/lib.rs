//! What a bill is: its money, its barcode and QR codes, its page. Pure: no network, no clock, no database.
//!
//! A client's [`Settings`] say who is paid and by which [`rails`]; with the [`BillFacts`] of one bill they make a
//! [`Bill`], which [`pdf::render`] shows as a page. A billing run that only needs the numbers asks
//! [`rails::Boleto::barcode`] and [`rails::Pix::code`].

mod bill;
pub mod dates;
mod documents;
mod language;
pub mod money;
pub mod pdf;
pub mod rails;
mod settings;

pub use bill::{Bill, BillFacts, Party};
pub use language::{Language, UnknownLanguage};
pub use money::{Currency, Money};
pub use settings::Settings;
