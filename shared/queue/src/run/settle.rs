//! Writing outcomes into the ledger, in batches.

use std::{collections::HashMap, sync::Arc};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Runner, attempt::count};
use crate::{
    Queue,
    batch::Batcher,
    ledger::{
        complete,
        fail::{self, Settled, Verdict},
        fence::{self, Standing},
    },
    redis::HandBack,
    watch::Watch,
    worker::Registered,
};

const BATCH: usize = 500;

impl Runner {
    pub(crate) fn new(
        queue: Queue,
        bodies: Arc<HashMap<&'static str, Registered>>,
        give_up: CancellationToken,
    ) -> Self {
        let pool = queue.pool().clone();
        let fence = Batcher::new("fence", BATCH, move |ids: Vec<Uuid>| {
            let pool = pool.clone();
            async move {
                let standings = fence::standings(&pool, &ids).await?;
                Ok(ids.iter().map(|id| standings.get(id).copied().unwrap_or(Standing::Done)).collect())
            }
        });
        let ledger = queue.clone();
        let completions = Batcher::new("complete", BATCH, move |mut ids: Vec<Uuid>| {
            let queue = ledger.clone();
            async move {
                let order = ids.clone();
                ids.sort_unstable();
                let mut conn = queue.pool().acquire().await?;
                let (done, joins) = complete::complete(&mut conn, &ids).await?;
                drop(conn);
                if !joins.is_empty() {
                    tokio::spawn(async move { queue.push(joins).await });
                }
                let done: std::collections::HashSet<Uuid> = done.into_iter().collect();
                Ok(order.iter().map(|id| done.contains(id)).collect())
            }
        });
        let ledger = queue.clone();
        let verdicts = Batcher::new("settle", BATCH, move |verdicts: Vec<(Uuid, Verdict)>| {
            let queue = ledger.clone();
            async move {
                let mut tx = queue.pool().begin().await?;
                let (settled, joins) = fail::settle(&mut tx, &verdicts).await?;
                tx.commit().await?;
                if !joins.is_empty() {
                    tokio::spawn(async move { queue.push(joins).await });
                }
                let settled: HashMap<Uuid, Settled> = settled.into_iter().collect();
                Ok(verdicts.iter().map(|(id, _)| settled.get(id).copied()).collect())
            }
        });
        Self { queue, bodies, watch: Watch::default(), give_up, fence, completions, verdicts }
    }

    /// The answer of the ledger, or the end of the grace period: then another worker asks again.
    pub(super) async fn within_grace<T>(&self, answer: impl Future<Output = T>) -> Result<T, HandBack> {
        tokio::select! {
            answer = answer => Ok(answer),
            () = self.give_up.cancelled() => Err(HandBack),
        }
    }

    pub(super) async fn complete(&self, id: Uuid, queue: &str, name: &str) -> Result<(), HandBack> {
        let done = self.within_grace(self.completions.ask(id)).await?;
        count(queue, name, if done { "completed" } else { "already_done" });
        Ok(())
    }

    pub(super) async fn settle(&self, id: Uuid, queue: &str, name: &str, verdict: Verdict) -> Result<(), HandBack> {
        let outcome = match &verdict {
            Verdict::Snooze { .. } => "snoozed",
            Verdict::Retry { .. } => "retried",
            Verdict::Discard { .. } => "dead",
            Verdict::Cancelled => "cancelled",
        };
        let settled = self.within_grace(self.verdicts.ask((id, verdict))).await?;
        count(
            queue,
            name,
            match settled {
                Some(Settled::Dead) => "dead",
                Some(Settled::Cancelled) => "cancelled",
                Some(Settled::Scheduled) => outcome,
                None => "already_done",
            },
        );
        Ok(())
    }

    /// A job that no worker of this kind can run: dead, with the reason, until somebody looks.
    pub(super) async fn park(&self, id: Uuid, queue: &str, name: &str, error: String) -> Result<(), HandBack> {
        tracing::error!(job = %id, queue, error, "parked");
        self.settle(id, queue, name, Verdict::Discard { error }).await
    }
}
