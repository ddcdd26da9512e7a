//! A client's row: every section's settings side by side, as they are in the table and in `GET /v1/settings`.

mod checks;
mod store;

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

pub use checks::BadSetting;
pub(crate) use checks::{Checks, is_web};
pub use store::{ensure, find, put};

use crate::{Branding, ClaimSettings, Cycle, Heuristic, Numbering, bills, calendar, claims, merchants, reports};

/// A client's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct Settings {
    /// Of bills and mails: `pt-BR`, `en` or `es`.
    #[schema(example = "pt-BR")]
    pub language: String,
    /// Its calendar, by its name in the IANA database.
    #[schema(example = "America/Sao_Paulo")]
    pub time_zone: String,
    /// ISO 4217, of a currency that is divided into hundredths.
    #[schema(example = "BRL")]
    pub currency: String,
    /// Who is mailed about uploads that ended, and about what needs a person.
    pub operator_email: Option<String>,
    /// Whether the schedule bills this client. A run by request always may.
    pub automatic: bool,
    /// How often it bills.
    pub cycle: Cycle,
    /// Weekly: 1 (Monday) to 7. Monthly: the day; of a shorter month the last one.
    pub cycle_day: i32,
    /// A debt is billed when it is due within so many days.
    pub days_ahead: i32,
    /// How bills are numbered.
    pub numbering: Numbering,
    /// A scheduled run that would make more than so many times the usual number of bills stops and asks.
    pub safety_factor: f64,
    /// Days before the due date on which the payer is reminded.
    pub reminder_days: Vec<i32>,
    /// Days after the due date on which the payer is dunned.
    pub overdue_days: Vec<i32>,
    /// Who is paid and how: `beneficiary` (`name`; `document`, `email`, which replies to bills go to, `address` by lines) and
    /// any of `boleto` (`bank`, `agency`, `account`, `wallet`; `bank_name`, `layout`), `pix` (`key`, `name`, `city`) and `epc`
    /// (`iban`, `name`; `bic`). One of them must be in the `currency`: boleto and PIX carry BRL, EPC carries EUR. Empty: a
    /// sample.
    #[sqlx(json)]
    #[schema(value_type = Object)]
    pub issuer: serde_json::Value,
    /// How its bills look.
    #[sqlx(json)]
    pub branding: Branding,
    /// Who normalizes single transactions, where no rule of the client's holds.
    pub heuristic: Heuristic,
    /// Where the external heuristic is: it is posted a transaction and answers `{"merchant":{"name":…}}` within 60 s.
    #[schema(example = "https://example.com/normalize")]
    pub heuristic_url: Option<String>,
    /// Where your reports are that messages name, with `{id}` for the report's: a GET answers
    /// `{"name":…,"credit_cost":…}` or `404` within 10 s.
    #[schema(example = "https://example.com/reports/{id}")]
    pub reports_url: Option<String>,
    /// For how many seconds what was answered there is not asked again.
    pub reports_max_age: i32,
    /// How its claims are read.
    #[sqlx(json)]
    pub claims: ClaimSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: "pt-BR".into(),
            time_zone: "America/Sao_Paulo".into(),
            currency: "BRL".into(),
            operator_email: None,
            automatic: true,
            cycle: Cycle::Daily,
            cycle_day: 1,
            days_ahead: 30,
            numbering: Numbering::Ranges,
            safety_factor: 10.0,
            reminder_days: vec![3],
            overdue_days: vec![1, 7, 30],
            issuer: serde_json::json!({}),
            branding: Branding::default(),
            heuristic: Heuristic::BuiltIn,
            heuristic_url: None,
            reports_url: None,
            reports_max_age: 3_600,
            claims: ClaimSettings::default(),
        }
    }
}

impl Settings {
    /// Every setting that cannot be, but for addresses of mail, which the mails know, for the branding, which is checked by
    /// [`Branding::faults`], and for what is in the issuer, which billing knows.
    #[must_use]
    pub fn faults(&self) -> Vec<BadSetting> {
        let mut checks = Checks::default();
        for check in [calendar::check, bills::check, merchants::check, reports::check, claims::check] {
            check(self, &mut checks);
        }
        checks.require(self.issuer.is_object(), "issuer", "is not an object");
        checks.0
    }
}
