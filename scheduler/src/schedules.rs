//! The schedules that come along: bills, reminders of them, and payments of claims that are tried anew.

use anyhow::Context as _;
use gristmill_billing::jobs::{BillingTick, DunningTick};
use gristmill_claims::jobs as claims;
use gristmill_platform::config::SchedulerConfig;
use gristmill_queue::{CatchUp, JobSpec, NewSchedule, Queue, ScheduleError};

/// What switches one off.
const OFF: &str = "off";

/// Makes the schedules as the configuration wants them; whether they are paused is their operators' business.
pub(crate) async fn arrange(queue: &Queue, config: &SchedulerConfig) -> anyhow::Result<()> {
    let settle_seconds =
        u32::try_from(config.billing_settle.as_secs()).context("GRISTMILL_BILLING_SETTLE is too long")?;
    let tick = JobSpec::of(&BillingTick { settle_seconds })?;
    put(queue, "billing", &config.billing_schedule, tick)
        .await
        .context("GRISTMILL_BILLING_SCHEDULE: `off`, or a cron expression as `0 9 * * *`")?;
    put(queue, "dunning", &config.dunning_schedule, JobSpec::of(&DunningTick {})?)
        .await
        .context("GRISTMILL_DUNNING_SCHEDULE: `off`, or a cron expression as `*/10 * * * *`")?;
    put(queue, "payments-redrive", &config.payments_redrive_schedule, JobSpec::of(&claims::redrive())?)
        .await
        .context("GRISTMILL_PAYMENTS_REDRIVE_SCHEDULE: `off`, or a cron expression as `*/10 * * * *`")
}

async fn put(queue: &Queue, name: &str, cron: &str, tick: JobSpec) -> Result<(), ScheduleError> {
    let schedules = queue.schedules();
    if cron == OFF {
        return match schedules.delete(name).await {
            Ok(()) | Err(ScheduleError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        };
    }
    // A tick does all that is due, so one for any number of missed ones is enough.
    let schedule = NewSchedule { catch_up: CatchUp::Latest, ..NewSchedule::new(name, cron, tick) };
    schedules.put(&schedule).await.map(|_| ())
}
