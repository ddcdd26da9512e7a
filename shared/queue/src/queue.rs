//! The handle: enqueue, push, groups, and the fence and completion that make an effect happen once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use ::redis::{Client, RedisError, aio::ConnectionManager};
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool};
use tracing::warn;
use uuid::Uuid;

use crate::{
    Claim, Depth, GroupProgress, Job, JobState, Miscounted, NewGroup, PayloadError, Pruned,
    envelope::Message,
    ledger::{
        audit, complete, enqueue, fence, groups, prune, relay, replace, stats,
        unsealed::{self, Unsealed},
        waiting_room,
    },
    redis::{Broker, Connections, Incoming, Window},
};

/// What a [`Queue`] is made of, beside a pool.
#[derive(Clone)]
pub struct QueueConfig {
    /// The URL of the Redis broker.
    pub redis_url: String,
    /// The prefix of its keys.
    pub namespace: String,
    /// How long a worker keeps its jobs without renewing their leases. About a second after that they run elsewhere.
    pub lease: Duration,
    /// Jobs of one queue that Redis holds; what is beyond waits in the ledger and is pushed by the sweep as there is place.
    /// Each line (a priority and a fair key) has its share of this in any case, 16 jobs at least.
    pub window: u64,
    /// How many deliveries of one job may end with a lost worker before the job is dead.
    pub max_deliveries: u32,
    /// Wait before the second attempt; doubles with every further one.
    pub backoff: Duration,
    /// The longest wait between two attempts.
    pub backoff_limit: Duration,
    /// How long running jobs may take to finish when a worker stops.
    pub grace: Duration,
    /// This binary's version, for people, and to retry jobs that another version has parked because they did not decode.
    /// Which worker can read which job does not depend on it: workers report the jobs that they know.
    pub version: String,
    /// How long a worker may make no progress while jobs wait before it replaces its connections. After as long again it is
    /// unhealthy.
    pub watchdog: Duration,
    /// Bytes of JSON that a job may be given: it carries ids, and content is kept elsewhere.
    pub payload_limit: usize,
}

impl QueueConfig {
    /// The defaults, on this Redis.
    #[must_use]
    pub fn new(redis_url: impl Into<String>) -> Self {
        Self {
            redis_url: redis_url.into(),
            namespace: "gm".into(),
            lease: Duration::from_secs(6),
            window: 50_000,
            max_deliveries: 10,
            backoff: Duration::from_secs(1),
            backoff_limit: Duration::from_secs(600),
            grace: Duration::from_secs(25),
            version: env!("CARGO_PKG_VERSION").into(),
            watchdog: Duration::from_secs(30),
            payload_limit: 256 * 1_024,
        }
    }
}

impl fmt::Debug for QueueConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueConfig")
            .field("namespace", &self.namespace)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// Errors of the queue. A broker that is unreachable fails no push: the sweep makes it good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// A statement, or the connection to Postgres, failed.
    #[error("the ledger failed")]
    Ledger(#[from] sqlx::Error),
    /// The broker's URL or settings are unusable.
    #[error("the broker's settings are unusable")]
    Broker(#[source] RedisError),
    /// Redis did not answer.
    #[error("the broker does not answer")]
    BrokerUnavailable(#[source] RedisError),
    /// A payload does not serialize.
    #[error("the payload does not serialize")]
    Encode(#[source] serde_json::Error),
    /// A payload cannot be kept. Nothing was asked of the ledger: the caller's transaction goes on.
    #[error("the payload of `{name}` {problem}")]
    Payload {
        /// The job's.
        name: String,
        /// What is wrong with it.
        problem: PayloadError,
    },
    /// A key, or a name, with a NUL in it, which no text of Postgres has. The caller's transaction goes on.
    #[error("{0} has a NUL character in it, which the ledger cannot hold: leave it out")]
    Nul(&'static str),
    /// The group is sealed, has failed, was cancelled, or does not exist.
    #[error("group {0} takes no more members")]
    GroupClosed(GroupId),
}

/// A group of jobs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct GroupId(pub Uuid);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How to enqueue, where it differs from the job's own consts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Not before this time.
    pub run_at: Option<Timestamp>,
    /// So long after `run_at`, or after now by Postgres' clock.
    pub delay: Option<Duration>,
    /// 0 is the most urgent, 9 the least.
    pub priority: Option<u8>,
    /// As a member of this group.
    pub group: Option<GroupId>,
    /// Do nothing when a job with this key is waiting already. Of many jobs enqueued at once, one gets in.
    pub unique_key: Option<String>,
    /// On behalf of this client.
    pub client_id: Option<i32>,
    /// Whose turn it takes: jobs of one queue and priority take turns by this key. The client, unless given.
    pub fair_key: Option<String>,
    /// The same, for a time or in other states. Beside a `unique_key`, both must be free.
    pub unique: Option<Unique>,
    /// The W3C `traceparent` that each of the jobs follows, in their order: where there is none, what enqueues it
    /// ([`crate::trace::current`]).
    pub trace_parents: Vec<Option<String>>,
    /// Failed attempts until the job is dead.
    pub max_attempts: Option<u16>,
}

/// A key that lets in one job. It is held by the job that was enqueued with it, during the window and while that job
/// is in one of the states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key; all queues and jobs share them.
    pub key: String,
    /// So long after the enqueue, whatever became of the job.
    pub window: Option<Duration>,
    /// While it is in one of these.
    pub states: Vec<JobState>,
}

impl Unique {
    /// Lets one in every `window`.
    pub fn within(key: impl Into<String>, window: Duration) -> Self {
        Self { key: key.into(), window: Some(window), states: Vec::new() }
    }

    /// Lets none in while one is in any of these states.
    pub fn while_in(key: impl Into<String>, states: impl Into<Vec<JobState>>) -> Self {
        Self { key: key.into(), window: None, states: states.into() }
    }
}

/// Jobs that are in the ledger, or will be with the caller's commit, and are to be pushed after it.
#[derive(Debug, Default)]
#[must_use = "push it after the commit, or the jobs wait for the next sweep"]
pub struct Enqueued {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) messages: Vec<Message>,
    pub(crate) existing: Option<Uuid>,
}

impl Enqueued {
    /// Adds what another call enqueued.
    pub fn merge(&mut self, other: Self) {
        self.existing = self.existing.or(other.existing);
        self.ids.extend(other.ids);
        self.messages.extend(other.messages);
    }

    /// Whether nothing was enqueued (a unique key that was taken, no jobs, no join).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The new jobs, in the order given.
    #[must_use]
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    /// The job that holds the unique key, when nothing was enqueued because of it.
    #[must_use]
    pub fn existing(&self) -> Option<Uuid> {
        self.existing
    }
}

/// Whether a job is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fence {
    /// Its row is locked until the end of the transaction.
    Held,
    /// Another run was first, or the job was cancelled: roll back and return `Ok`.
    AlreadyDone,
}

/// What [`Queue::complete`] did.
#[derive(Debug)]
#[must_use]
pub enum Completion {
    /// With the commit the job is done; push what became due by it.
    Done(Enqueued),
    /// Another run was first, or the job was cancelled: roll back and return `Ok`.
    AlreadyDone,
}

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
                let error = crate::job::chain(&error);
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
    pub(crate) async fn refill(&self, messages: Vec<Message>) -> Result<Vec<Uuid>, QueueError> {
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
                .map(|(id, job)| Incoming { id, key: &job.fair_key, payload: job.body.as_bytes() })
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
        let ids: Vec<Uuid> = claims.iter().map(|claim| claim.id).collect();
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

    /// Jobs by queue and state, but for those that are completed or cancelled: counted up to 10,000, and beyond that about
    /// as many as the ledger expects there to be, so it costs the same at any backlog. Also sets the gauges
    /// `gristmill_queue_depth` and `gristmill_queue_oldest_seconds`, to zero where there are none any more, and, while the
    /// broker answers, `gristmill_queue_seconds_left`.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let depths = stats::depths(&mut *self.pool().acquire().await?).await?;
        self.reset_stale_gauges(&depths);
        for depth in &depths {
            let labels = [("queue", depth.queue.clone()), ("state", depth.state.clone())];
            metrics::gauge!("gristmill_queue_depth", &labels).set(depth.jobs as f64);
            metrics::gauge!("gristmill_queue_oldest_seconds", &labels).set(depth.oldest_seconds.max(0.0));
        }
        self.tell_seconds_left(&depths).await?;
        Ok(depths)
    }

    /// The gauges of queues and states that have no jobs any more.
    fn reset_stale_gauges(&self, depths: &[Depth]) {
        let mut gauged = self.inner.gauged.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = std::mem::replace(&mut *gauged, depths.iter().map(|d| (d.queue.clone(), d.state.clone())).collect());
        for (queue, state) in gone.difference(&gauged) {
            let labels = [("queue", queue.clone()), ("state", state.clone())];
            metrics::gauge!("gristmill_queue_depth", &labels).set(0.0);
            metrics::gauge!("gristmill_queue_oldest_seconds", &labels).set(0.0);
        }
        gauged.extend(gone);
    }

    /// Groups older than `age` that are not closed and whose counters contradict their members; at most a hundred.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn miscounted_groups(&self, age: Duration) -> Result<Vec<Miscounted>, QueueError> {
        audit::miscounted(self.pool(), age, 100).await
    }

    /// Groups that are not sealed and in which, and inside of which, no member came or ended for `age`: who created them is
    /// gone, most likely. At most a hundred.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn unsealed_groups(&self, age: Duration) -> Result<Vec<Unsealed>, QueueError> {
        unsealed::find(self.pool(), age, 100).await
    }

    /// Ends such a group, in the caller's transaction: it has failed, members that wait are cancelled, and the join of a
    /// failure comes. Nothing: something has happened in it meanwhile. Push the answer after the commit.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn end_unsealed(
        &self,
        conn: &mut PgConnection,
        group: GroupId,
        age: Duration,
    ) -> Result<Option<Enqueued>, QueueError> {
        unsealed::end(conn, group, age).await
    }

    /// Leased jobs of `queue` that the ledger does not know as still to be done (normal for the moment between
    /// the completion and the acknowledgement); of the thousand held longest.
    ///
    /// # Errors
    /// Returns an error if Postgres or Redis does not answer, or a statement fails.
    pub async fn stray_leases(&self, queue: &str) -> Result<Vec<Uuid>, QueueError> {
        let mut conn = self.conn();
        let ids = self.broker(queue).leased(&mut conn, 1_000).await.map_err(QueueError::BrokerUnavailable)?;
        let ids: Vec<Uuid> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let ended = relay::ended(self.pool(), &ids).await?;
        Ok(ended.into_iter().map(|(id, _)| id).collect())
    }

    /// Jobs of `queue` that wait in the broker, and that are leased.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn broker_depth(&self, queue: &str) -> Result<(u64, u64), QueueError> {
        self.broker(queue).depth(&mut self.conn()).await.map_err(QueueError::BrokerUnavailable)
    }

    /// Removes jobs and groups that finished at least `age` ago, and ticks that old, in slices.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn prune(&self, age: Duration) -> Result<Pruned, QueueError> {
        prune::prune(self.pool(), age, 2_000).await
    }

    /// Removes jobs that have been dead for at least `age`, in slices, but for members of groups that are open. Returns how
    /// many; what they kept of their groups goes with the next [`Queue::prune`].
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn prune_dead(&self, age: Duration) -> Result<u64, QueueError> {
        prune::prune_dead(self.pool(), age, 2_000).await
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
fn fenced(claim: &Claim, held: &HashSet<Uuid>) -> Fence {
    let is_held = held.contains(&claim.id);
    claim.set_fenced_off(!is_held);
    if is_held { Fence::Held } else { Fence::AlreadyDone }
}
