//! The schedules that come along: bills, reminders of them, and payments of claims that are tried again.

use std::time::Duration;

use anyhow::Context as _;
use gristmill_billing::jobs::{BillingTick, DunningTick};
use gristmill_claims::jobs as claims;
use gristmill_platform::{config::SchedulerConfig, database::through_outage};
use gristmill_queue::{CatchUp, JobSpec, NewSchedule, Queue, ScheduleError};

/// What switches one off.
const DISABLED: &str = "off";

/// Makes the schedules as the configuration wants them; whether they are paused is their operators' business. Waits for a
/// database that is away for at most `limit`.
pub(crate) async fn arrange(queue: &Queue, config: &SchedulerConfig, limit: Duration) -> anyhow::Result<()> {
    let settle_seconds =
        u32::try_from(config.billing_settle.as_secs()).context("GRISTMILL_BILLING_SETTLE is too long")?;
    let tick = JobSpec::of(&BillingTick { settle_seconds })?;
    let redrive = JobSpec::of(&claims::redrive())?;
    for (name, variable, cron, tick) in [
        ("billing", "GRISTMILL_BILLING_SCHEDULE", &config.billing_schedule, tick),
        ("dunning", "GRISTMILL_DUNNING_SCHEDULE", &config.dunning_schedule, JobSpec::of(&DunningTick {})?),
        ("payments-redrive", "GRISTMILL_PAYMENTS_REDRIVE_SCHEDULE", &config.payments_redrive_schedule, redrive),
    ] {
        through_outage(limit, |_| put(queue, name, cron, &tick)).await.map_err(|error| {
            let context = match error {
                ScheduleError::Cron(_) => format!("{variable}: `off`, or a cron expression as `0 9 * * *`"),
                _ => format!("setting the schedule {name}"),
            };
            anyhow::Error::new(error).context(context)
        })?;
    }
    Ok(())
}

async fn put(queue: &Queue, name: &str, cron: &str, tick: &JobSpec) -> Result<(), ScheduleError> {
    let schedules = queue.schedules();
    if cron == DISABLED {
        return match schedules.delete(name).await {
            Ok(()) | Err(ScheduleError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        };
    }
    // A tick does all that is due, so one for any number of missed ones is enough.
    let schedule = NewSchedule { catch_up: CatchUp::Latest, ..NewSchedule::new(name, cron, tick.clone()) };
    schedules.put(&schedule).await.map(|_| ())
}
