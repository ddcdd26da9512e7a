//! Single requests that come at the same time are entered by one commit: its flush is what a request costs.

use std::collections::BTreeMap;

use gristmill_core::{Batcher, ClientId};
use gristmill_normalization::requests::{self, New};
use gristmill_queue::{Enqueued, Queue, QueueError, trace};
use uuid::Uuid;

/// Requests of one commit.
const BATCH: usize = 256;

/// A request, whose it is, and the trace that it is part of.
#[derive(Clone)]
pub(crate) struct SingleRequest {
    client_id: ClientId,
    trace_parent: Option<String>,
    new: New,
}

impl SingleRequest {
    /// By this client, in the trace that runs here.
    pub(super) fn here(client_id: ClientId, new: New) -> Self {
        Self { client_id, trace_parent: trace::current(), new }
    }
}

/// Takes requests, and answers with their ids when they are committed. Needs a runtime.
pub(crate) fn gathering(queue: Queue) -> Batcher<SingleRequest, Uuid> {
    Batcher::new("normalizations.enter", BATCH, move |asked: Vec<SingleRequest>| {
        let queue = queue.clone();
        async move { enter(&queue, asked).await }
    })
}

/// A client's requests, and where their ids go.
#[derive(Default)]
struct Of {
    places: Vec<usize>,
    requests: Vec<New>,
    trace_parents: Vec<Option<String>>,
}

async fn enter(queue: &Queue, asked: Vec<SingleRequest>) -> Result<Vec<Uuid>, QueueError> {
    let mut clients: BTreeMap<ClientId, Of> = BTreeMap::new();
    let mut ids = vec![Uuid::nil(); asked.len()];
    for (place, SingleRequest { client_id, trace_parent, new }) in asked.into_iter().enumerate() {
        let of = clients.entry(client_id).or_default();
        of.places.push(place);
        of.requests.push(new);
        of.trace_parents.push(trace_parent);
    }
    let mut tx = queue.pool().begin().await?;
    let mut jobs = Enqueued::default();
    for (client_id, Of { places, requests, trace_parents }) in clients {
        let (made, enqueued) = requests::create(&mut tx, queue, client_id, &requests, trace_parents).await?;
        places.into_iter().zip(made).for_each(|(place, id)| ids[place] = id);
        jobs.merge(enqueued);
    }
    tx.commit().await?;
    queue.push(jobs).await;
    Ok(ids)
}
