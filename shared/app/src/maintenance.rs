//! What looks after a queue beside the sweep and the schedules' clock. Any number of processes may do it at the same time.

use std::{error::Error, time::Duration};

use gristmill_queue::{Queue, QueueError, Source};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Settings;

const PRUNED_EVERY: Duration = Duration::from_secs(60);

pub(crate) async fn prune(queue: Queue, settings: Settings, stop: CancellationToken) {
    every("pruning", PRUNED_EVERY, stop, || prune_once(&queue, &settings)).await;
}

/// Does something again and again. A failure is logged and the next time comes all the same: what is missed now is found then.
pub(crate) async fn every<F, E>(name: &str, period: Duration, stop: CancellationToken, mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<(), E>>,
    E: Into<Source>,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = work().await {
            let error: Source = error.into();
            let error = &*error as &(dyn Error + 'static);
            tracing::warn!(task = name, error, "a periodic task failed: it is tried again the next time");
        }
    }
}

async fn prune_once(queue: &Queue, settings: &Settings) -> Result<(), QueueError> {
    if !settings.keep_dead.is_zero() {
        let dead = queue.prune_dead(settings.keep_dead).await?;
        if dead > 0 {
            tracing::info!(dead, "removed dead jobs that nobody has decided about");
        }
    }
    let pruned = queue.prune(settings.keep_jobs).await?;
    if pruned.jobs + pruned.groups + pruned.ticks > 0 {
        tracing::info!(jobs = pruned.jobs, groups = pruned.groups, ticks = pruned.ticks, "removed old jobs");
    }
    if settings.unsealed_groups.is_zero() {
        return Ok(());
    }
    for group in queue.unsealed_groups(settings.unsealed_groups).await? {
        let mut tx = queue.pool().begin().await?;
        if let Some(joins) = queue.end_unsealed(&mut tx, group.id, settings.unsealed_groups).await? {
            tx.commit().await?;
            queue.push(joins).await;
            tracing::warn!(group = %group.id, "a group that was never sealed has failed: who made it is gone");
        }
    }
    Ok(())
}
