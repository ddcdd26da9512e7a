//! Requests of jobs that run at the same time are read by one statement, and answered by one commit.

use std::collections::{BTreeMap, HashMap};

use gristmill_core::{Batcher, ClientId};
use gristmill_normalization::{
    Answer,
    requests::{self, PendingRequest},
};
use gristmill_queue::{Claim, Enqueued, Fence, Queue, QueueError, trace};
use gristmill_webhooks::{Event, Merchant, NormalizationCompleted, publish_all};
use uuid::Uuid;

/// Requests of one statement.
const BATCH: usize = 256;

/// What was found for a request, by which job, in which trace.
#[derive(Clone)]
pub(super) struct AnsweredRequest {
    claim: Claim,
    request_id: Uuid,
    client_id: ClientId,
    trace_parent: Option<String>,
    answer: Result<Answer, String>,
}

/// The ledger, as the bodies of normalizations ask it.
#[derive(Clone)]
pub(super) struct Together {
    wanted: Batcher<Uuid, Option<PendingRequest>>,
    found: Batcher<AnsweredRequest, ()>,
}

impl Together {
    /// Needs a runtime.
    pub(super) fn new(queue: &Queue) -> Self {
        let pool = queue.pool().clone();
        let wanted = Batcher::new("normalizations.wanted", BATCH, move |ids: Vec<Uuid>| {
            let pool = pool.clone();
            async move {
                let there = requests::wanted(&pool, &ids).await?;
                let mut there: HashMap<Uuid, PendingRequest> =
                    there.into_iter().map(|one| (one.request.id, one)).collect();
                Ok::<_, QueueError>(ids.iter().map(|id| there.remove(id)).collect())
            }
        });
        let queue = queue.clone();
        let found = Batcher::new("normalizations.answer", BATCH, move |found: Vec<AnsweredRequest>| {
            let queue = queue.clone();
            async move {
                let ended = vec![(); found.len()];
                answer(&queue, found).await?;
                Ok::<_, QueueError>(ended)
            }
        });
        Self { wanted, found }
    }

    /// The request, unless it is gone.
    pub(super) async fn wanted(&self, request_id: Uuid) -> Option<PendingRequest> {
        self.wanted.submit(request_id).await
    }

    /// Answers a request, tells its client, and ends the job, unless another run did.
    pub(super) async fn answer(&self, claim: &Claim, wanted: &PendingRequest, answer: Result<Answer, String>) {
        let (request_id, client_id) = (wanted.request.id, wanted.request.client_id);
        let found =
            AnsweredRequest { claim: claim.clone(), request_id, client_id, trace_parent: trace::current(), answer };
        self.found.submit(found).await;
    }
}

async fn answer(queue: &Queue, mut found: Vec<AnsweredRequest>) -> Result<(), QueueError> {
    let mut tx = queue.pool().begin().await?;
    let claims: Vec<Claim> = found.iter().map(|one| one.claim.clone()).collect();
    let (fences, mut enqueued) = queue.complete_each(&mut tx, &claims).await?;
    let mut fences = fences.into_iter();
    found.retain(|_| fences.next() == Some(Fence::Held));
    if found.is_empty() {
        return Ok(());
    }
    let answers: Vec<_> = found.iter().map(|one| (one.request_id, &one.answer)).collect();
    requests::answer(&mut tx, &answers).await?;
    enqueued.merge(tell(&mut tx, queue, &found).await?);
    tx.commit().await?;
    queue.push(enqueued).await;
    Ok(())
}

async fn tell(conn: &mut sqlx::PgConnection, queue: &Queue, found: &[AnsweredRequest]) -> Result<Enqueued, QueueError> {
    let mut clients: BTreeMap<ClientId, (Vec<Event>, Vec<Option<String>>)> = BTreeMap::new();
    for one in found {
        let merchant = merchant(one.answer.clone().unwrap_or_default());
        let (events, traces) = clients.entry(one.client_id).or_default();
        events.push(Event::NormalizationCompleted(NormalizationCompleted { request_id: one.request_id, merchant }));
        traces.push(one.trace_parent.clone());
    }
    let mut enqueued = Enqueued::default();
    for (client_id, (events, traces)) in clients {
        enqueued.merge(publish_all(conn, queue, client_id, &events, &traces).await?);
    }
    Ok(enqueued)
}

fn merchant(answer: Answer) -> Merchant {
    Merchant {
        name: answer.merchant.unwrap_or_else(|| "n/a".to_owned()),
        rule: answer.rule_id.map(|id| id.to_string()).or(answer.matched),
        score: answer.score.map(f64::from),
        category: answer.category,
        wikidata_id: answer.wikidata,
    }
}
