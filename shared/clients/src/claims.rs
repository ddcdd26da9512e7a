//! How a client's claims are read.

use gristmill_pipelines::{claims, values};
use serde::{Deserialize, Serialize};

use crate::{Settings, settings::Checks};

/// Which lines of a file make a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimGrouping {
    /// Those of one subscriber, provider and day.
    #[default]
    Visit,
    /// Each one.
    Line,
}

/// How a client's claims are read. A change reaches the chunks that are loaded after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimSettings {
    /// Optional rules that every line must satisfy too: `npi_luhn`, `quadrant_known`, `fees_not_negative`,
    /// `allowed_within_provider_fees`.
    #[schema(example = json!(["npi_luhn"]))]
    pub rules: Vec<String>,
    /// Which lines of a file make a claim.
    pub grouping: ClaimGrouping,
}

impl ClaimSettings {
    /// The same, as the pipeline takes it, of a day that is not known.
    ///
    /// # Errors
    /// When a rule is none, or none that is optional.
    pub fn options(&self) -> Result<claims::Options, claims::UnknownRule> {
        let grouping = match self.grouping {
            ClaimGrouping::Visit => claims::Grouping::Visit,
            ClaimGrouping::Line => claims::Grouping::Line,
        };
        Ok(claims::Options { switches: claims::Switches::on(&self.rules)?, grouping, today: None })
    }
}

/// Settings by which no claim can be read.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The calendar.
    #[error("the time zone is not known here")]
    TimeZone(#[from] jiff::Error),
    /// The rules.
    #[error(transparent)]
    Rule(#[from] claims::UnknownRule),
}

impl Settings {
    /// How claims that came at this moment are read.
    ///
    /// # Errors
    /// When this machine does not know the time zone, or a rule is none.
    pub fn claims_of(&self, moment: jiff::Timestamp) -> Result<claims::Options, ClaimsError> {
        let date = self.date_of(moment)?;
        let today = values::days_of(date.year().into(), date.month().into(), date.day().into());
        Ok(claims::Options { today, ..self.claims.options()? })
    }
}

/// Notes a rule that is none.
pub(crate) fn check(settings: &Settings, checks: &mut Checks) {
    if let Err(unknown) = settings.claims.options() {
        checks.refuse("claims.rules", &unknown.to_string());
    }
}
