//! The handle: enqueue, push, groups, and the fence and completion that make an effect happen once.

mod answers;
mod config;
mod error;
mod maintenance;
mod options;

pub use self::{
    answers::{Completion, Enqueued, Fence},
    config::QueueConfig,
    error::QueueError,
    options::{Options, Unique},
};

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use ::redis::{Client, aio::ConnectionManager};
use sqlx::{PgConnection, PgPool};
use tracing::warn;

use crate::{
    Claim, GroupId, GroupProgress, Job, JobId, NewGroup,
    envelope::Message,
    ledger::{complete, enqueue, fence, groups, replace, waiting_room},
    redis::{Broker, BrokerJob, Connections, Window},
};

/// A pool on the ledger and the connections to the broker, which its workers share. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    config: QueueConfig,
    connections: Connections,
    brokers: RwLock<HashMap<String, Broker>>,
    /// Queues and states whose gauges are set.
    gauged: Mutex<BTreeSet<(String, String)>>,
}

impl Queue {
    /// Needs neither engine to be there yet: while Redis is away, pushes are left to the sweep.
    ///
    /// # Errors
    /// Returns an error if the Redis URL is not one.
    pub async fn connect(pool: PgPool, config: QueueConfig) -> Result<Self, QueueError> {
        crate::metrics::describe();
        let client = Client::open(config.redis_url.as_str()).map_err(QueueError::Broker)?;
        let connections = Connections::new(client).map_err(QueueError::Broker)?;
        Ok(Self {
            inner: Arc::new(Inner { pool, config, connections, brokers: RwLock::default(), gauged: Mutex::default() }),
        })
    }

    /// Writes a job into the ledger, in the caller's transaction. [`Queue::push`] the answer after the commit.
    ///
    /// # Errors
    /// Returns [`QueueError::GroupClosed`] if the group takes no more members, [`QueueError::Payload`] or [`QueueError::Nul`] if
    /// Postgres cannot store the job, or an error if Postgres fails.
    pub async fn enqueue<J: Job>(
        &self,
        conn: &mut PgConnection,
        job: &J,
        options: &Options,
    ) -> Result<Enqueued, QueueError> {
        enqueue::insert(conn, std::slice::from_ref(job), options, self.config().payload_limit).await
    }

    /// Writes any number of jobs, by one statement.
    ///
    /// # Errors
    /// Returns the errors of [`Queue::enqueue`].
    pub async fn enqueue_all<J: Job>(
        &self,
        conn: &mut PgConnection,
        jobs: &[J],
        options: &Options,
    ) -> Result<Enqueued, QueueError> {
        enqueue::insert(conn, jobs, options, self.config().payload_limit).await
    }

    /// Hands committed jobs to the broker. Never fails and never waits long: the sweep is the net.
    pub async fn push(&self, enqueued: Enqueued) {
        let n = enqueued.messages.len();
        match tokio::time::timeout(Duration::from_secs(3), self.try_push(enqueued.messages)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let error = gristmill_core::chain(&error);
                warn!(jobs = n, error, "pushing jobs to the broker failed; the sweep will push them");
            }
            Err(_) => warn!(jobs = n, "pushing jobs to the broker timed out; the sweep will push what is missing"),
        }
    }

    /// Pushes, and says how many the broker did not know yet. Those that it has no place for wait in the ledger.
    pub(crate) async fn try_push(&self, messages: Vec<Message>) -> Result<u64, QueueError> {
        let (fresh, away) = self.push_within(messages, false).await?;
        if !away.is_empty() {
            waiting_room::enter(self.pool(), &away).await?;
        }
        Ok(fresh)
    }

    /// Pushes what has waited for a place, and says who still has none.
    pub(crate) async fn refill(&self, messages: Vec<Message>) -> Result<Vec<JobId>, QueueError> {
        let (_, away) = self.push_within(messages, true).await?;
        Ok(away.into_iter().map(|job| job.id).collect())
    }

    async fn push_within(&self, messages: Vec<Message>, refill: bool) -> Result<(u64, Vec<Message>), QueueError> {
        let window = Window { jobs: self.config().window, refill };
        let mut lines: BTreeMap<(String, u8), Vec<Message>> = BTreeMap::new();
        for message in messages {
            lines.entry((message.queue.clone(), message.priority)).or_default().push(message);
        }
        let mut conn = self.conn();
        let (mut fresh, mut away) = (0, Vec::new());
        for ((queue, priority), messages) in lines {
            let ids: Vec<String> = messages.iter().map(|job| job.id.to_string()).collect();
            let jobs: Vec<_> = ids
                .iter()
                .zip(&messages)
                .map(|(id, job)| BrokerJob { id, key: &job.fair_key, payload: job.body.as_bytes() })
                .collect();
            let pushed = self.broker(&queue).push_within(&mut conn, priority, &jobs, window).await;
            let pushed = pushed.map_err(QueueError::BrokerUnavailable)?;
            fresh += pushed.added;
            if !pushed.rejected.is_empty() {
                let turned_away: HashSet<String> = pushed.rejected.into_iter().collect();
                let kept = ids.iter().map(|id| turned_away.contains(id));
                away.extend(messages.iter().zip(kept).filter(|(_, away)| *away).map(|(job, _)| job.clone()));
            }
        }
        Ok((fresh, away))
    }

    /// A group that jobs can be enqueued into until it is sealed.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn create_group(&self, conn: &mut PgConnection, new: NewGroup) -> Result<GroupId, QueueError> {
        groups::create(conn, &new, self.config().payload_limit).await
    }

    /// No more members. When all have finished already, this enqueues the join.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn seal_group(&self, conn: &mut PgConnection, group: GroupId) -> Result<Enqueued, QueueError> {
        groups::seal(conn, group).await
    }

    /// Cancels the group, those inside it, and their unfinished jobs, and says how many. No join of theirs comes any more
    /// (one of a group around it that this makes due is pushed by the sweep). With the commit
    /// no member can have an effect in the ledger's database; running bodies see their token cancelled within a second.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn cancel_group(&self, conn: &mut PgConnection, group: GroupId) -> Result<u64, QueueError> {
        groups::cancel(conn, group).await
    }

    /// How far a group is.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn group(&self, group: GroupId) -> Result<Option<GroupProgress>, QueueError> {
        Ok(groups::progress(self.pool(), group).await?)
    }

    /// Locks the job's row at the start of an effect's transaction, when it is still to be done.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn lock(&self, conn: &mut PgConnection, claim: &Claim) -> Result<Fence, QueueError> {
        let held = fence::lock(conn, &[claim.id]).await?;
        Ok(fenced(claim, &held))
    }

    /// The same for many jobs whose effects share a transaction, in the order given. Complete those that are held.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn lock_all(&self, conn: &mut PgConnection, claims: &[Claim]) -> Result<Vec<Fence>, QueueError> {
        let ids: Vec<JobId> = claims.iter().map(|claim| claim.id).collect();
        let held = fence::lock(conn, &ids).await?;
        Ok(claims.iter().map(|claim| fenced(claim, &held)).collect())
    }

    /// Finishes the job in the transaction of its effect. Make it the last statement before the commit: it also
    /// locks the group's row. When the commit fails, return the error from the body as usual.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn complete(&self, conn: &mut PgConnection, claim: &Claim) -> Result<Completion, QueueError> {
        self.complete_all(conn, std::slice::from_ref(claim)).await
    }

    /// The same for many jobs whose effects share a transaction. When one of them is done already, roll all of it back:
    /// [`Queue::lock_all`] tells which ones to leave out.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn complete_all(&self, conn: &mut PgConnection, claims: &[Claim]) -> Result<Completion, QueueError> {
        let mut jobs: Vec<_> = claims.iter().map(Claim::finished).collect();
        jobs.sort_unstable_by_key(|job| job.id);
        let worker = claims.iter().find_map(Claim::worker);
        let (done, joins) = complete::complete(conn, worker, &jobs).await?;
        for claim in claims {
            claim.set_completed();
            claim.set_fenced_off(!done.contains(&claim.id));
        }
        Ok(if done.len() < jobs.len() { Completion::AlreadyDone } else { Completion::Done(joins) })
    }

    /// Finishes the job and enqueues others in its stead, in the caller's transaction: on behalf of the same client, in the
    /// same turn and trace, and in the same group, even if that is sealed: it stays open, as the job was one of its members.
    /// Make it the last statement before the commit, like [`Queue::complete`].
    ///
    /// # Errors
    /// Returns [`QueueError::GroupClosed`] if the group has failed or was cancelled, or an error if Postgres fails.
    pub async fn replace<J: Job>(
        &self,
        conn: &mut PgConnection,
        claim: &Claim,
        jobs: &[J],
    ) -> Result<Completion, QueueError> {
        let enqueued = replace::replace(conn, claim, jobs, self.config().payload_limit).await?;
        claim.set_completed();
        claim.set_fenced_off(enqueued.is_none());
        Ok(enqueued.map_or(Completion::AlreadyDone, Completion::Done))
    }

    /// The ledger.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    pub(crate) fn config(&self) -> &QueueConfig {
        &self.inner.config
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.inner.connections
    }

    pub(crate) fn conn(&self) -> ConnectionManager {
        self.inner.connections.pushes().conn()
    }

    pub(crate) fn broker(&self, queue: &str) -> Broker {
        if let Some(broker) = self.inner.brokers.read().unwrap_or_else(PoisonError::into_inner).get(queue) {
            return broker.clone();
        }
        let broker = Broker::new(&self.inner.config.namespace, queue);
        self.inner.brokers.write().unwrap_or_else(PoisonError::into_inner).insert(queue.into(), broker.clone());
        broker
    }
}

/// The run hears of it, and so does its end: what was fenced off once is neither completed nor failed by its body's answer.
fn fenced(claim: &Claim, held: &HashSet<JobId>) -> Fence {
    let is_held = held.contains(&claim.id);
    claim.set_fenced_off(!is_held);
    if is_held { Fence::Held } else { Fence::AlreadyDone }
}
