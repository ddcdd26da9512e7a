//! What was cancelled, given up or removed leaves Redis, also when no worker serves its queue. The sweep goes through
//! all that waits there, some at a time, and asks the ledger which of it is still to be done.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    time::{Duration, Instant},
};

use tracing::debug;

use crate::{
    JobId, Queue, QueueError,
    broker::BrokerError,
    envelope::{Envelope, enqueued},
    ledger::relay,
    redis::{Place, RedisNamespace, RedisQueue},
};

/// Ids that are looked at in one step, over all places of it.
const MAX_IDS_PER_STEP: usize = 2_000;
/// Places that are looked at in one step: there may be a line for each client.
const MAX_PLACES_PER_STEP: usize = 100;
/// Time that a look may take, once for the names of queues and once for their jobs.
const SCAN_TIME_BUDGET: Duration = Duration::from_millis(10);
const TIME_BUDGET: Duration = Duration::from_millis(40);
/// Between the starts of two rounds, unless something was found.
const ROUND_INTERVAL: Duration = Duration::from_secs(5);

/// Where the round is.
#[derive(Default)]
pub(super) struct Leftovers {
    cursor: u64,
    queues: BTreeSet<String>,
    ahead: VecDeque<(String, Place, usize)>,
    begun: Option<Instant>,
    found: bool,
}

impl Leftovers {
    /// Goes on with the round, for a bounded while.
    pub(super) async fn look(&mut self, queue: &Queue, redis: &RedisNamespace) -> Result<(), QueueError> {
        self.look_for_queues(redis).await?;
        let started = Instant::now();
        while started.elapsed() < TIME_BUDGET {
            if self.ahead.is_empty() && !self.begin(redis).await? {
                break;
            }
            self.step(queue, redis).await?;
        }
        Ok(())
    }

    async fn look_for_queues(&mut self, redis: &RedisNamespace) -> Result<(), BrokerError> {
        let started = Instant::now();
        loop {
            let (next, queues) = redis.queues(self.cursor).await?;
            self.cursor = next;
            self.queues.extend(queues);
            if next == 0 || started.elapsed() > SCAN_TIME_BUDGET {
                return Ok(());
            }
        }
    }

    /// A new round, if it is time for one and there is something to look through.
    async fn begin(&mut self, redis: &RedisNamespace) -> Result<bool, BrokerError> {
        if !self.found && self.begun.is_some_and(|begun| begun.elapsed() < ROUND_INTERVAL) {
            return Ok(false);
        }
        (self.begun, self.found) = (Some(Instant::now()), false);
        for name in std::mem::take(&mut self.queues) {
            let places = redis.queue(&name).all_places().await?;
            self.ahead.extend(places.into_iter().map(|place| (name.clone(), place, 0)));
        }
        Ok(!self.ahead.is_empty())
    }

    /// Some places of one queue; those that have more come again later.
    async fn step(&mut self, queue: &Queue, redis: &RedisNamespace) -> Result<(), QueueError> {
        let Some((name, ..)) = self.ahead.front().cloned() else { return Ok(()) };
        let same = self.ahead.iter().take_while(|(queue, ..)| *queue == name).count().min(MAX_PLACES_PER_STEP);
        let places: Vec<(Place, usize)> = self.ahead.drain(..same).map(|(_, place, from)| (place, from)).collect();
        let count = (MAX_IDS_PER_STEP / places.len()).max(20);
        let seen = redis.queue(&name).ids_at(&places, count).await.map_err(BrokerError::from)?;
        let ended = self.ended(queue, &name, seen.iter().flatten()).await?;
        for ((place, from), ids) in places.into_iter().zip(seen) {
            let mut next = from + ids.len();
            let old: Vec<String> = ids.iter().filter(|id| ended.contains(*id)).cloned().collect();
            if !old.is_empty() {
                next -= self
                    .forget(queue, &redis.queue(&name), &name, (&place, from, ids.len()), &old)
                    .await?
                    .min(ids.len());
            }
            if ids.len() == count {
                self.ahead.push_back((name.clone(), place, next));
            }
        }
        Ok(())
    }

    /// Those of the ids that nobody is to do. One that the ledger does not know is its own only if it wrote the message:
    /// applications without a ledger may have queues in the same namespace.
    async fn ended<'a>(
        &self,
        queue: &Queue,
        name: &str,
        ids: impl Iterator<Item = &'a String>,
    ) -> Result<HashSet<String>, QueueError> {
        let ids: Vec<JobId> = ids.filter_map(|id| id.parse().ok()).collect();
        let mut ended = HashSet::new();
        for (id, known) in relay::ended(queue.schema(), queue.pool(), &ids).await? {
            let id = id.to_string();
            if !known {
                let payload = queue.broker_queue(name).payload(&id).await?;
                if !payload.is_empty() && serde_json::from_slice::<Envelope<'_>>(&payload).is_err() {
                    continue;
                }
            }
            ended.insert(id);
        }
        Ok(ended)
    }

    /// Returns how many ids the place lost.
    async fn forget(
        &mut self,
        queue: &Queue,
        redis: &RedisQueue,
        name: &str,
        seen: (&Place, usize, usize),
        ids: &[String],
    ) -> Result<usize, QueueError> {
        let (gone, lost) = redis.forget(queue.config().lease, seen, ids).await.map_err(BrokerError::from)?;
        if gone.is_empty() {
            return Ok(lost);
        }
        self.found = true;
        debug!(queue = name, jobs = gone.len(), "removed jobs from Redis that the ledger no longer wants");
        metrics::counter!("gristmill_relay_forgotten_total").increment(gone.len() as u64);
        // Who was redriven since the ledger was asked found the broker knowing the job, and pushed nothing.
        let gone: Vec<JobId> = gone.iter().filter_map(|id| id.parse().ok()).collect();
        let back = relay::rows_not_waiting(queue.schema(), queue.pool(), &gone).await?;
        if !back.is_empty() {
            queue.try_push(enqueued(back).messages).await?;
        }
        Ok(lost)
    }
}
