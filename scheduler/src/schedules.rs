//! The schedules that come along: bills, reminders of them, and payments of claims that are tried again.

use anyhow::Context as _;
use gristmill::{App, CatchUp, Error, Job};
use gristmill_billing::jobs::{BillingTick, DunningTick};
use gristmill_claims::jobs as claims;
use gristmill_platform::config::SchedulerConfig;
use gristmill_queue::ScheduleError;

/// What switches one off.
const DISABLED: &str = "off";

/// Adds the schedules as the configuration wants them; whether they are paused is their operators' business.
pub(crate) fn add(app: App, config: &SchedulerConfig) -> anyhow::Result<App> {
    let settle_seconds =
        u32::try_from(config.billing_settle.as_secs()).context("GRISTMILL_BILLING_SETTLE is too long")?;
    let app = cron(app, "billing", &config.billing_schedule, &BillingTick { settle_seconds });
    let app = cron(app, "dunning", &config.dunning_schedule, &DunningTick {});
    Ok(cron(app, "payments-redrive", &config.payments_redrive_schedule, &claims::redrive()))
}

fn cron(app: App, name: &str, expression: &str, tick: &impl Job) -> App {
    match expression {
        DISABLED => app.no_cron(name),
        // A tick does all that is due, so one for any number of missed ones is enough.
        _ => app.cron(name, expression, |schedule| schedule.catch_up(CatchUp::Latest).job(tick)),
    }
}

/// Says which setting is wrong, where one is.
pub(crate) fn blame_setting(error: Error) -> anyhow::Error {
    let Error::Schedule { name, source: source @ ScheduleError::Cron(_) } = error else {
        return anyhow::Error::new(error).context("starting the scheduler");
    };
    let setting = match name.as_str() {
        "billing" => "GRISTMILL_BILLING_SCHEDULE",
        "dunning" => "GRISTMILL_DUNNING_SCHEDULE",
        _ => "GRISTMILL_PAYMENTS_REDRIVE_SCHEDULE",
    };
    anyhow::Error::new(source).context(format!("{setting}: `off`, or a cron expression as `0 9 * * *`"))
}
