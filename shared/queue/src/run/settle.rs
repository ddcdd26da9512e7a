//! Writing outcomes into the ledger, in batches.

use std::{collections::HashMap, sync::Arc};

use gristmill_core::Batcher;
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    attempt::count,
    known::{self, Others},
};
use crate::{
    Claim, JobId, Queue, QueueError,
    cancellation::CancellationWatch,
    ledger::{
        complete::{self, FinishedJob},
        fail::{self, Outcome, Run, Settle, SettledState, Verdict},
        fence::{self, JobStatus},
    },
    redis::{Release, WorkerState},
    worker::RegisteredJob,
};

const BATCH_SIZE: usize = 500;

impl Runner {
    pub(crate) fn new(
        queue: Queue,
        bodies: Arc<HashMap<&'static str, RegisteredJob>>,
        lost: Arc<HashMap<&'static str, RegisteredJob>>,
        worker: Arc<str>,
        worker_state: WorkerState,
        give_up: CancellationToken,
    ) -> Self {
        let pool = queue.pool().clone();
        let fence = Batcher::new("fence", BATCH_SIZE, move |ids: Vec<JobId>| {
            let pool = pool.clone();
            async move {
                let statuses = fence::statuses(&pool, &ids).await?;
                Ok::<_, QueueError>(
                    ids.iter().map(|id| statuses.get(id).copied().unwrap_or(JobStatus::Finished)).collect(),
                )
            }
        });
        let (ledger, name) = (queue.clone(), Arc::clone(&worker));
        let completions = Batcher::new("complete", BATCH_SIZE, move |mut jobs: Vec<FinishedJob>| {
            let (queue, name) = (ledger.clone(), Arc::clone(&name));
            async move {
                let order: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
                jobs.sort_unstable_by_key(|job| job.id);
                let (done, joins) = if jobs.iter().any(|job| job.nested) {
                    let mut tx = queue.pool().begin().await?;
                    let ended = complete::complete(&mut tx, Some(&name), &jobs).await?;
                    tx.commit().await?;
                    ended
                } else {
                    let mut conn = queue.pool().acquire().await?;
                    complete::complete(&mut conn, Some(&name), &jobs).await?
                };
                if !joins.is_empty() {
                    tokio::spawn(async move { queue.push(joins).await });
                }
                let done: std::collections::HashSet<JobId> = done.into_iter().collect();
                Ok::<_, QueueError>(order.iter().map(|id| done.contains(id)).collect())
            }
        });
        let (ledger, reader): (_, Arc<str>) = (queue.clone(), known::reader(&queue.config().version, &bodies).into());
        let verdicts = Batcher::new("settle", BATCH_SIZE, move |verdicts: Vec<Settle>| {
            let (queue, reader) = (ledger.clone(), Arc::clone(&reader));
            async move {
                let mut tx = queue.pool().begin().await?;
                let (settled, joins) = fail::settle(&mut tx, &reader, &verdicts).await?;
                tx.commit().await?;
                if !joins.is_empty() {
                    tokio::spawn(async move { queue.push(joins).await });
                }
                let settled: HashMap<JobId, SettledState> = settled.into_iter().collect();
                Ok::<_, QueueError>(verdicts.iter().map(|settle| settled.get(&settle.id).copied()).collect())
            }
        });
        Self {
            queue,
            bodies,
            lost,
            worker,
            watch: CancellationWatch::default(),
            others: Others::new(worker_state),
            give_up,
            fence,
            completions,
            verdicts,
        }
    }

    /// The answer of the ledger, or the end of the grace period: then another worker asks again.
    pub(super) async fn within_grace<T>(&self, answer: impl Future<Output = T>) -> Result<T, Release> {
        tokio::select! {
            answer = answer => Ok(answer),
            () = self.give_up.cancelled() => Err(Release::Now),
        }
    }

    pub(super) async fn complete(&self, claim: &Claim, queue: &str, name: &str) -> Result<(), Release> {
        let done = self.within_grace(self.completions.submit(claim.finished())).await?;
        count(queue, name, if done { "completed" } else { "already_done" });
        Ok(())
    }

    /// Without a run, the job is settled before it has had one.
    pub(super) async fn settle(
        &self,
        id: JobId,
        run: Option<Run>,
        queue: &str,
        name: &str,
        verdict: Verdict,
    ) -> Result<(), Release> {
        let outcome = verdict.outcome;
        let settled = self.within_grace(self.verdicts.submit(Settle { id, verdict, run })).await?;
        count(
            queue,
            name,
            match settled {
                Some(SettledState::Dead) => "dead",
                Some(SettledState::Cancelled) => "cancelled",
                Some(SettledState::Parked) => Outcome::Parked.into(),
                Some(SettledState::Scheduled) => outcome.into(),
                None => "already_done",
            },
        );
        Ok(())
    }
}
