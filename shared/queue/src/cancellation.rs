//! Cancels running jobs that the ledger no longer wants, within a second, and publishes the progress that jobs report. It
//! polls with one small statement three times per second, and with none while no job runs longer than that: there is no
//! signal that could get lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::{
    Claim, JobId, Progress, Queue,
    ledger::fence::{self, JobStatus},
};

const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// The jobs that run in this process.
#[derive(Clone, Default)]
pub(crate) struct CancellationWatch {
    running: Arc<Mutex<HashMap<JobId, WatchedRun>>>,
}

struct WatchedRun {
    since: Instant,
    claim: Claim,
    cancel: CancellationToken,
}

/// Watches one job until it is dropped.
pub(crate) struct WatchGuard<'a> {
    watch: &'a CancellationWatch,
    id: JobId,
    delivery: u64,
}

impl CancellationWatch {
    pub(crate) fn over(&self, claim: &Claim, cancel: &CancellationToken) -> WatchGuard<'_> {
        let running = WatchedRun { since: Instant::now(), claim: claim.clone(), cancel: cancel.clone() };
        self.table().insert(claim.id, running);
        WatchGuard { watch: self, id: claim.id, delivery: claim.delivery }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, WatchedRun>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(&self, queue: &Queue) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            self.tell_progress(queue).await;
            let ids: Vec<JobId> = self
                .table()
                .values()
                .filter(|running| {
                    running.since.elapsed() >= POLL_INTERVAL / 2
                        && !running.claim.is_completed()
                        && !running.cancel.is_cancelled()
                })
                .map(|running| running.claim.id)
                .collect();
            if ids.is_empty() {
                continue;
            }
            match fence::statuses(queue.schema(), queue.pool(), &ids).await {
                Ok(statuses) => self.end(&ids, &statuses),
                Err(error) => debug!(%error, "reading from the ledger which running jobs are cancelled failed"),
            }
        }
    }

    async fn tell_progress(&self, queue: &Queue) {
        let runs: Vec<(Claim, Progress)> = self
            .table()
            .values()
            .filter_map(|run| run.claim.new_progress().map(|progress| (run.claim.clone(), progress)))
            .collect();
        if runs.is_empty() {
            return;
        }
        let said: Vec<(JobId, Progress)> = runs.iter().map(|(claim, progress)| (claim.id, *progress)).collect();
        // Who is slow here must not keep a cancellation waiting.
        match tokio::time::timeout(POLL_INTERVAL, queue.tell_progress(&said)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => debug!(%error, "publishing progress to the broker failed; retrying"),
            Err(_) => debug!("publishing progress to the broker timed out; retrying"),
        }
        for (claim, _) in &runs {
            claim.repeat_progress();
        }
    }

    fn end(&self, ids: &[JobId], statuses: &HashMap<JobId, JobStatus>) {
        let running = self.table();
        for id in ids {
            let status = statuses.get(id).copied().unwrap_or(JobStatus::Finished);
            // A body that has completed its job since may still have something to say to the world.
            let Some(running) = running.get(id).filter(|running| !running.claim.is_completed()) else { continue };
            match status {
                JobStatus::Runnable { .. } => continue,
                JobStatus::Cancelled => info!(job = %id, "a running job is cancelled"),
                // Nobody wished this: another run had the job, and its verdict stands.
                JobStatus::Finished => {
                    info!(job = %id, "a running job is no longer to be done: it is ended");
                    running.claim.set_fenced_off(true);
                }
            }
            running.cancel.cancel();
        }
    }
}

impl Drop for WatchGuard<'_> {
    fn drop(&mut self) {
        let mut running = self.watch.table();
        if running.get(&self.id).is_some_and(|running| running.claim.delivery == self.delivery) {
            running.remove(&self.id);
        }
    }
}
