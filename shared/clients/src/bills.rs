//! How a client bills.

use gristmill_bills::Currency;
use serde::{Deserialize, Serialize};

use crate::{Cycle, Settings, settings::Checks};

/// How a client's bills are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Numbering {
    /// Numbers are allocated in ranges, and nobody waits; a crash may leave gaps.
    Ranges,
    /// No gaps: the shards of a client's run follow each other.
    Gapless,
}

/// Notes what of the bills' section cannot be, but for the issuer and the branding.
pub(crate) fn check(settings: &Settings, checks: &mut Checks) {
    let days = |days: &[i32], from| days.len() <= 10 && days.iter().all(|day| (from..=365).contains(day));
    match settings.currency.parse::<Currency>() {
        Err(_) => checks.refuse("currency", "is not three letters of ISO 4217, as BRL is"),
        // Files and payments are read in hundredths, whatever the currency.
        Ok(currency) => checks.require(
            currency.decimals() == 2,
            "currency",
            &format!(
                "{currency} is not divided into hundredths, and amounts are read in hundredths: take a currency that is, as BRL, EUR or USD are"
            ),
        ),
    }
    let cycle_day = if settings.cycle == Cycle::Weekly { 1..=7 } else { 1..=31 };
    let factor = settings.safety_factor.is_finite() && settings.safety_factor > 0.0;
    checks.require(cycle_day.contains(&settings.cycle_day), "cycle_day", "is not 1 to 7 (weekly) or 1 to 31 (monthly)");
    checks.require((0..=3_650).contains(&settings.days_ahead), "days_ahead", "is not from 0 to 3650");
    checks.require(factor, "safety_factor", "is not a number above 0");
    let reminders = days(&settings.reminder_days, 0);
    checks.require(reminders, "reminder_days", "has more than 10, or one that is not from 0 to 365");
    let overdue = days(&settings.overdue_days, 1);
    checks.require(overdue, "overdue_days", "has more than 10, or one that is not from 1 to 365");
}
