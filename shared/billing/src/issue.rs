//! From a bill's row to the bill that a payer sees.

use gristmill_bills::{
    BillFacts, Currency, Language, Money, Party,
    money::NotACurrency,
    pdf::{self, Branding, PdfError},
    rails::RailError,
};
use gristmill_clients::{BrandingError, Settings};
use serde_json::json;

use crate::bills::{Bill, Status};

/// What is asked of each bill of a run: whether there is any way to pay it.
#[derive(Debug, Clone)]
pub struct Ways {
    /// `None`: nobody could read how the client is paid.
    issuer: Option<gristmill_bills::Settings>,
    /// There are no ways in the currency, or those of a sample do not matter.
    any: bool,
}

impl Ways {
    /// Those of a client.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let issuer = issuer(settings).ok();
        let none = issuer.as_ref().is_some_and(|issuer| issuer.rails().next().is_none());
        let lacks = issuer.as_ref().is_some_and(|issuer| lacks_way(issuer, &settings.currency));
        Self { issuer, any: none && (is_sample(settings) || !lacks) }
    }

    /// Whether a bill can be paid, or need not be any more. What is not told of a payer and a debt does not matter.
    #[must_use]
    pub fn carry(&self, facts: &BillFacts) -> bool {
        self.any || self.issuer.as_ref().is_some_and(|issuer| issuer.carry(facts))
    }
}

/// Whether a client has set no way to be paid though there are some in this currency. Where there are none, it has arranged
/// that with its payers.
#[must_use]
pub fn lacks_way(issuer: &gristmill_bills::Settings, currency: &str) -> bool {
    issuer.rails().next().is_none() && ["BRL", "EUR"].contains(&currency)
}

/// What is said of a bill whose client has set no way to be paid, though there are ways in its currency.
pub const NO_WAY: &str = "no way to be paid is set: set `pix`, `boleto` or `epc` of `issuer` by PUT /v1/settings";

/// Why a bill cannot be paid.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The client's settings do not say how it is paid.
    #[error("the client's issuer settings cannot be read")]
    Issuer(#[from] serde_json::Error),
    /// Its currency is none.
    #[error(transparent)]
    Currency(#[from] NotACurrency),
    /// No way to pay can carry it.
    #[error(transparent)]
    Rail(#[from] RailError),
}

/// The issuer that a client without settings has, so that everything can be tried before anything is set. Nobody could
/// be paid by it: the PIX key is an address of the reserved domain `example.com`, and the page says that it is a sample.
#[must_use]
pub fn sample() -> serde_json::Value {
    json!({
        "beneficiary": { "name": "Gristmill Sample Ltda", "document": "11222333000181", "address": ["Rua do Moinho, 1", "01000-000 São Paulo SP"] },
        "boleto": { "bank": "001", "bank_name": "Banco do Brasil", "agency": "0001", "account": "0000001", "wallet": "17" },
        "pix": { "key": "sample@example.com", "name": "Gristmill Sample", "city": "Sao Paulo" },
    })
}

/// How a client is paid.
///
/// # Errors
/// When its settings do not say it.
pub fn issuer(settings: &Settings) -> Result<gristmill_bills::Settings, serde_json::Error> {
    if !is_sample(settings) {
        return serde_json::from_value(settings.issuer.clone());
    }
    let issuer = serde_json::from_value(sample())?;
    // The sample is paid in reais: in another currency its bills have a page, without codes.
    if settings.currency == "BRL" {
        return Ok(issuer);
    }
    Ok(gristmill_bills::Settings { boleto: None, pix: None, ..issuer })
}

/// Whether the client has not said yet how it is paid.
#[must_use]
pub fn is_sample(settings: &Settings) -> bool {
    settings.issuer.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The bill with the ways to pay it: none when nothing is to be paid any more.
///
/// # Errors
/// When the settings do not fit it.
pub fn issue(bill: &Bill, issuer: &gristmill_bills::Settings) -> Result<gristmill_bills::Bill, IssueError> {
    let currency: Currency = bill.currency.parse()?;
    Ok(issuer.bill(BillFacts {
        number: bill.number.unsigned_abs(),
        payer: Party {
            name: bill.name.clone(),
            document: Some(bill.government_id.clone()),
            email: Some(bill.email.clone()),
            address: Vec::new(),
        },
        amount: Money { minor: bill.amount_minor, currency },
        paid_minor: bill.paid_minor,
        cancelled: bill.status == Status::Cancelled,
        overdue: bill.status == Status::Overdue,
        issued_on: bill.issued_on.to_jiff(),
        due_on: bill.due_on.to_jiff(),
        reference: Some(bill.debt_id.to_string()),
        description: None,
    })?)
}

/// How the client's pages look. A sample says so. A logo may take as long as some pages: keep what this gives.
///
/// # Errors
/// When what is stored is no logo, or no colour.
pub fn branding(settings: &Settings) -> Result<Branding, BrandingError> {
    let sample = is_sample(settings);
    let note = sample.then(|| {
        "SAMPLE · AMOSTRA · MUESTRA — set the issuer with PUT /v1/settings before you bill anybody".to_owned()
    });
    let own = &settings.branding;
    Ok(Branding { logo: own.logo()?, accent: own.accent()?, note, sample })
}

/// Why a bill has no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It cannot be paid.
    #[error(transparent)]
    Unpayable(#[from] IssueError),
    /// Its client's logo or colour cannot be put on it.
    #[error(transparent)]
    Branding(#[from] BrandingError),
    /// The page cannot be drawn.
    #[error(transparent)]
    Page(#[from] PdfError),
    /// The client's language is none that pages are in.
    #[error("pages are not in the language {0}")]
    Language(String),
}

/// The bill as a PDF of one page, in the client's language. Takes some milliseconds of CPU.
///
/// # Errors
/// When the settings do not fit it.
pub fn page(bill: &Bill, settings: &Settings) -> Result<Vec<u8>, PageError> {
    let issued = issue(bill, &issuer(settings).map_err(IssueError::from)?)?;
    let language: Language = settings.language.parse().map_err(|_| PageError::Language(settings.language.clone()))?;
    Ok(pdf::render(&issued, &branding(settings)?, language)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_can_be_read() {
        let issuer = issuer(&Settings::default()).expect("the sample is right");
        assert!(issuer.boleto.is_some() && issuer.pix.is_some());
    }
}
