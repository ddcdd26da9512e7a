//! The handle: enqueue, push, groups, and the fence and completion that make an effect happen once.

mod answers;
mod config;
mod error;
mod maintenance;
mod new_job;
mod options;
mod ownership;

pub use self::{
    answers::{Completion, Enqueued, Fence},
    config::QueueConfig,
    error::{QueueError, is_not_up},
    new_job::{EnqueueManyError, ManyJobs, NewJob},
    options::{Backoff, Options, Unique, UniqueMode},
};

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use ::redis::Client;
use sqlx::{PgConnection, PgPool};
use tokio::sync::OnceCell;
use tracing::warn;

use crate::{
    Claim, GroupId, GroupProgress, Job, JobId, NewGroup, Schema,
    broker::{Broker, BrokerConfig, BrokerError, BrokerJob, BrokerQueue, Links, Window},
    envelope::Message,
    ledger::{
        complete, enqueue, enqueue_many, fence, groups, replace,
        unique::{self, Replacement},
        waiting_room,
    },
    postgres::PostgresLinks,
    redis::{Connections, RedisLinks},
};

/// A pool on the ledger and the connections to the broker, which its workers share. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    config: QueueConfig,
    links: Links,
    queues: RwLock<HashMap<String, BrokerQueue>>,
    /// Queues and states whose gauges are set.
    gauged: Mutex<BTreeSet<(String, String)>>,
    /// See [`Queue::hold_namespace`].
    ledger_name: OnceCell<Option<String>>,
}

impl Queue {
    /// Needs neither engine to be there yet: while the broker is away, pushes are left to the sweep.
    ///
    /// # Errors
    /// Returns an error if the Redis URL is not one.
    pub async fn connect(pool: PgPool, config: QueueConfig) -> Result<Self, QueueError> {
        crate::metrics::describe();
        let links = Self::link(&pool, &config).map_err(QueueError::Broker)?;
        let (queues, gauged) = (RwLock::default(), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { pool, config, links, queues, gauged, ledger_name: OnceCell::new() }) })
    }

    fn link(pool: &PgPool, config: &QueueConfig) -> Result<Links, BrokerError> {
        match &config.broker {
            BrokerConfig::Redis { url } => {
                let connections = Connections::new(Client::open(url.as_str())?)?;
                Ok(Links::Redis(RedisLinks::new(&connections, &config.namespace)))
            }
            BrokerConfig::Postgres => Ok(Links::Postgres(PostgresLinks::new(pool, config.schema))),
        }
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
        self.enqueue_all(conn, std::slice::from_ref(job), options).await
    }

    /// Writes any number of jobs, by one statement. Where they have one unique key and may replace the job that has it, the last one
    /// does.
    ///
    /// # Errors
    /// Returns the errors of [`Queue::enqueue`].
    pub async fn enqueue_all<J: Job>(
        &self,
        conn: &mut PgConnection,
        jobs: &[J],
        options: &Options,
    ) -> Result<Enqueued, QueueError> {
        let enqueued = enqueue::insert(self.schema(), conn, jobs, options, self.config().intake()).await?;
        if options.unique_mode == UniqueMode::Keep || !enqueued.is_empty() {
            return Ok(enqueued);
        }
        let (Some(existing), Some(job)) = (enqueued.existing, jobs.last()) else { return Ok(enqueued) };
        let payload = serde_json::to_string(job).map_err(QueueError::Encode)?;
        let payload = self.config().intake().encode(J::NAME, payload)?;
        let new = Replacement::of_job::<J>(&payload, options)?;
        let replaced = unique::replace(self, conn, existing, &new, options.unique_mode).await?;
        Ok(replaced.unwrap_or(enqueued))
    }

    /// Writes any number of jobs of any kinds, known by their names, by one statement: all of them, or none. Push
    /// [`ManyJobs::into_enqueued`] after the commit.
    ///
    /// # Errors
    /// Returns what is wrong, and with which job: [`QueueError::GroupClosed`] if its group takes no more members,
    /// [`QueueError::Payload`] or [`QueueError::Nul`] if Postgres cannot store it. Or an error if Postgres fails.
    pub async fn enqueue_many(&self, conn: &mut PgConnection, jobs: &[NewJob]) -> Result<ManyJobs, EnqueueManyError> {
        enqueue_many::insert(self, conn, jobs).await
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

    /// Pushes on a task of its own: the caller has something else to say first.
    pub(crate) fn push_later(&self, enqueued: Enqueued) {
        if !enqueued.is_empty() {
            let queue = self.clone();
            tokio::spawn(async move { queue.push(enqueued).await });
        }
    }

    /// Pushes, and says how many the broker did not know yet. Those that it has no place for wait in the ledger.
    pub(crate) async fn try_push(&self, messages: Vec<Message>) -> Result<u64, QueueError> {
        let (fresh, away) = self.push_within(messages, false).await?;
        if !away.is_empty() {
            waiting_room::enter(self.schema(), self.pool(), &away).await?;
        }
        Ok(fresh)
    }

    /// Pushes what has waited for a place, and says who still has none.
    pub(crate) async fn refill(&self, messages: Vec<Message>) -> Result<Vec<JobId>, QueueError> {
        let (_, away) = self.push_within(messages, true).await?;
        Ok(away.into_iter().map(|job| job.id).collect())
    }

    async fn push_within(&self, messages: Vec<Message>, refill: bool) -> Result<(u64, Vec<Message>), QueueError> {
        let jobs = self.config().window;
        let mut lines: BTreeMap<(String, u8, bool), Vec<Message>> = BTreeMap::new();
        for message in messages {
            lines.entry((message.queue.clone(), message.priority, message.called)).or_default().push(message);
        }
        let (mut fresh, mut away) = (0, Vec::new());
        for ((queue, priority, front), messages) in lines {
            let window = Window { jobs, refill: refill || front, front };
            let ids: Vec<String> = messages.iter().map(|job| job.id.to_string()).collect();
            let pushed: Vec<_> = ids
                .iter()
                .zip(&messages)
                .map(|(id, job)| BrokerJob { id, key: &job.fair_key, payload: job.body.as_bytes() })
                .collect();
            let pushed = self.broker_queue(&queue).push_within(priority, &pushed, window).await?;
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
        groups::create(self.schema(), conn, &new, self.config().intake()).await
    }

    /// No more members. When all have finished already, this enqueues the join.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn seal_group(&self, conn: &mut PgConnection, group: GroupId) -> Result<Enqueued, QueueError> {
        groups::seal(self.schema(), conn, group).await
    }

    /// Cancels the group, those inside it, and their unfinished jobs, and says how many. No join of theirs comes any more
    /// (one of a group around it that this makes due is pushed by the sweep). With the commit
    /// no member can have an effect in the ledger's database; running bodies see their token cancelled within a second.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn cancel_group(&self, conn: &mut PgConnection, group: GroupId) -> Result<u64, QueueError> {
        groups::cancel(self.schema(), conn, group).await
    }

    /// Takes what the group's `on_complete` would do upon its last member, which does it in the transaction of its own end: a small
    /// group costs one job less. Returns false, and changes nothing, if the group is not sealed, has ended, or has other members
    /// that have not.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn take_join(&self, conn: &mut PgConnection, group: GroupId) -> Result<bool, QueueError> {
        Ok(groups::take_join(self.schema(), conn, group).await?)
    }

    /// How far a group is.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn group(&self, group: GroupId) -> Result<Option<GroupProgress>, QueueError> {
        Ok(groups::progress(self.schema(), self.pool(), group).await?)
    }

    /// The same, as the caller's transaction sees it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn group_in(&self, conn: &mut PgConnection, group: GroupId) -> Result<Option<GroupProgress>, QueueError> {
        Ok(groups::progress(self.schema(), conn, group).await?)
    }

    /// Locks the job's row at the start of an effect's transaction, when it is still to be done.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn lock(&self, conn: &mut PgConnection, claim: &Claim) -> Result<Fence, QueueError> {
        let held = fence::lock(self.schema(), conn, &[claim.id]).await?;
        Ok(fenced(claim, &held))
    }

    /// The same for many jobs whose effects share a transaction, in the order given. Complete those that are held.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn lock_all(&self, conn: &mut PgConnection, claims: &[Claim]) -> Result<Vec<Fence>, QueueError> {
        let ids: Vec<JobId> = claims.iter().map(|claim| claim.id).collect();
        let held = fence::lock(self.schema(), conn, &ids).await?;
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
        let (done, joins) = complete::complete(self.schema(), conn, worker, &jobs).await?;
        for claim in claims {
            claim.set_completed();
            claim.set_fenced_off(!done.contains(&claim.id));
        }
        Ok(if done.len() < jobs.len() { Completion::AlreadyDone } else { Completion::Done(joins) })
    }

    /// Finishes those of the jobs that are still to be done, in the transaction of their effects, by one statement, and says of
    /// each, in the order given, whether it was: the effects of the others must not be part of the transaction. Make it the
    /// first statement: it locks the jobs' rows, as [`Queue::lock_all`] does. If they are members of groups, it locks those, too.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn complete_each(
        &self,
        conn: &mut PgConnection,
        claims: &[Claim],
    ) -> Result<(Vec<Fence>, Enqueued), QueueError> {
        if claims.is_empty() {
            return Ok((Vec::new(), Enqueued::default()));
        }
        let mut jobs: Vec<_> = claims.iter().map(Claim::finished).collect();
        jobs.sort_unstable_by_key(|job| job.id);
        let worker = claims.iter().find_map(Claim::worker);
        let (done, joins) = complete::complete(self.schema(), conn, worker, &jobs).await?;
        let mut held: HashSet<JobId> = done.into_iter().collect();
        let ended = |claim: &Claim| {
            let fence = fenced(claim, &held);
            // Of two runs of a job one has ended it.
            held.remove(&claim.id);
            claim.set_completed();
            fence
        };
        Ok((claims.iter().map(ended).collect(), joins))
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
        let enqueued = replace::replace(self.schema(), conn, claim, jobs, self.config().intake()).await?;
        claim.set_completed();
        claim.set_fenced_off(enqueued.is_none());
        Ok(enqueued.map_or(Completion::AlreadyDone, Completion::Done))
    }

    /// The ledger.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// Where the queue's tables are.
    #[must_use]
    pub fn schema(&self) -> Schema {
        self.inner.config.schema
    }

    /// Which broker it has: `redis` or `postgres`.
    #[must_use]
    pub fn broker_name(&self) -> &'static str {
        self.config().broker.name()
    }

    pub(crate) fn config(&self) -> &QueueConfig {
        &self.inner.config
    }

    pub(crate) fn links(&self) -> &Links {
        &self.inner.links
    }

    /// Over the connection for pushes, and for whatever is asked now and then.
    pub(crate) fn broker(&self) -> Broker {
        self.inner.links.pushes()
    }

    pub(crate) fn broker_queue(&self, name: &str) -> BrokerQueue {
        if let Some(queue) = self.inner.queues.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return queue.clone();
        }
        let queue = self.broker().queue(name);
        self.inner.queues.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), queue.clone());
        queue
    }
}

/// The run hears of it, and so does its end: what was fenced off once is neither completed nor failed by its body's answer.
fn fenced(claim: &Claim, held: &HashSet<JobId>) -> Fence {
    let is_held = held.contains(&claim.id);
    claim.set_fenced_off(!is_held);
    if is_held { Fence::Held } else { Fence::AlreadyDone }
}
