//! Where a client's reports are that messages name.

use crate::{
    Settings,
    settings::{Checks, is_web},
};

/// Notes what of the reports' section cannot be.
pub(crate) fn check(settings: &Settings, checks: &mut Checks) {
    let fits = |address: &str| is_web(address) && address.len() <= 1_024 && address.matches("{id}").count() == 1;
    checks.require(
        settings.reports_url.as_deref().is_none_or(fits),
        "reports_url",
        "is no address of at most 1,024 characters with {id} in it, such as https://example.com/reports/{id}",
    );
    let year = 0..=31_536_000;
    checks.require(year.contains(&settings.reports_max_age), "reports_max_age", "is not from 0 to 31536000 seconds");
}
