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
    codec,
    delivery::{Release, WorkerState},
    ledger::{
        complete::{self, FinishedJob},
        fail::{self, Run, Settle, SettledState, Verdict},
        fence::{self, JobStatus},
        limits,
        logs::{self, NewLogs},
    },
    observer::Observer,
    worker::RegisteredJob,
};

const BATCH_SIZE: usize = 500;

impl Runner {
    pub(crate) fn new(
        queue: Queue,
        bodies: Arc<HashMap<&'static str, RegisteredJob>>,
        lost: Arc<HashMap<&'static str, RegisteredJob>>,
        observer: Observer,
        worker: Arc<str>,
        worker_state: WorkerState,
        give_up: CancellationToken,
    ) -> Self {
        let (schema, pool) = (queue.schema(), queue.pool().clone());
        let fence = Batcher::new("fence", BATCH_SIZE, move |ids: Vec<JobId>| {
            let pool = pool.clone();
            async move {
                let statuses = fence::statuses(schema, &pool, &ids).await?;
                Ok::<_, QueueError>(
                    ids.iter().map(|id| statuses.get(id).copied().unwrap_or(JobStatus::Finished)).collect(),
                )
            }
        });
        let ledger = queue.pool().clone();
        let admissions = Batcher::new("admit", BATCH_SIZE, move |ids: Vec<JobId>| {
            let pool = ledger.clone();
            async move {
                let admitted = limits::admit(schema, &pool, &ids).await?;
                Ok::<_, QueueError>(ids.iter().map(|id| admitted.contains(id)).collect())
            }
        });
        let (ledger, name) = (queue.clone(), Arc::clone(&worker));
        let completions = Batcher::new("complete", BATCH_SIZE, move |mut jobs: Vec<FinishedJob>| {
            let (queue, name) = (ledger.clone(), Arc::clone(&name));
            async move {
                let order: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
                let done = complete::complete_alone(&queue, Some(&name), &mut jobs).await?;
                Ok::<_, QueueError>(order.iter().map(|id| done.contains(id)).collect())
            }
        });
        let keys = codec::keys(queue.config().codec());
        let reader: Arc<str> = known::reader(&queue.config().version, &known::jobs(&bodies), &keys).into();
        let ledger = queue.clone();
        let verdicts = Batcher::new("settle", BATCH_SIZE, move |verdicts: Vec<Settle>| {
            let (queue, reader) = (ledger.clone(), Arc::clone(&reader));
            async move {
                let settled = fail::settle_alone(&queue, &reader, &verdicts).await?;
                let settled: HashMap<JobId, SettledState> = settled.into_iter().collect();
                Ok::<_, QueueError>(verdicts.iter().map(|settle| settled.get(&settle.id).copied()).collect())
            }
        });
        let ledger = queue.clone();
        let logs = Batcher::new("logs", BATCH_SIZE, move |said: Vec<NewLogs>| {
            let queue = ledger.clone();
            async move {
                logs::append(queue.schema(), queue.pool(), &said).await?;
                Ok::<_, QueueError>(vec![(); said.len()])
            }
        });
        Self {
            queue,
            bodies,
            lost,
            observer,
            worker,
            watch: CancellationWatch::default(),
            others: Others::new(worker_state),
            give_up,
            fence,
            admissions,
            completions,
            verdicts,
            logs,
        }
    }

    /// The answer of the ledger, or the end of the grace period: then another worker asks again.
    pub(super) async fn within_grace<T>(&self, answer: impl Future<Output = T>) -> Result<T, Release> {
        tokio::select! {
            answer = answer => Ok(answer),
            () = self.give_up.cancelled() => Err(Release::Now),
        }
    }

    /// Whether there is room for it within the limits of its name.
    pub(super) async fn is_admitted(&self, id: JobId) -> Result<bool, Release> {
        self.within_grace(self.admissions.submit(id)).await
    }

    /// Whether it was this run that completed it.
    pub(super) async fn complete(&self, claim: &Claim, queue: &str, name: &str) -> Result<bool, Release> {
        let done = self.within_grace(self.completions.submit(claim.finished())).await?;
        count(queue, name, if done { "completed" } else { "already_done" });
        Ok(done)
    }

    /// Without a run, the job is settled before it has had one. Returns what became of it, if this run was still to say.
    pub(super) async fn settle(
        &self,
        id: JobId,
        run: Option<Run>,
        queue: &str,
        name: &str,
        verdict: Verdict,
    ) -> Result<Option<SettledState>, Release> {
        let outcome = verdict.outcome;
        let settled = self.within_grace(self.verdicts.submit(Settle { id, verdict, run })).await?;
        count(queue, name, settled.map_or("already_done", |settled| settled.counted_as(outcome)));
        Ok(settled)
    }
}
