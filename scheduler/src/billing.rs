//! The schedule of billing.

use anyhow::Context as _;
use gristmill_billing::jobs::BillingTick;
use gristmill_platform::config::SchedulerConfig;
use gristmill_queue::{CatchUp, JobSpec, NewSchedule, Queue, ScheduleError};

/// Its name among the schedules.
const NAME: &str = "billing";
/// What switches it off.
const OFF: &str = "off";

/// Makes the schedule as the configuration wants it; whether it is paused is its operators' business.
pub(crate) async fn arrange(queue: &Queue, config: &SchedulerConfig) -> anyhow::Result<()> {
    let schedules = queue.schedules();
    if config.billing_schedule == OFF {
        return match schedules.delete(NAME).await {
            Ok(()) | Err(ScheduleError::NotFound(_)) => Ok(()),
            Err(error) => Err(error).context("the schedule of billing cannot be removed"),
        };
    }
    let settle_seconds =
        u32::try_from(config.billing_settle.as_secs()).context("GRISTMILL_BILLING_SETTLE is too long")?;
    // A tick bills all that is due, so one for any number of missed ones is enough.
    let schedule = NewSchedule {
        catch_up: CatchUp::Latest,
        ..NewSchedule::new(NAME, &config.billing_schedule, JobSpec::of(&BillingTick { settle_seconds })?)
    };
    schedules.put(&schedule).await.context("GRISTMILL_BILLING_SCHEDULE: `off`, or a cron expression as `0 9 * * *`")?;
    Ok(())
}
