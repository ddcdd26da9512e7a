//! A job that is about to be enqueued.

use std::{fmt, future::IntoFuture, time::Duration};

use futures::future::BoxFuture;
use gristmill_queue::{Backoff, Enqueued, GroupId, Job, JobEvent, JobId, Options, Unique, UniqueMode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{Client, EnqueueIn, Error, WaitError, client::Mode};

/// What [`Client::enqueue`] gives: say more of the job, and await it. The options count in place of the job's own consts.
#[must_use = "it is enqueued when it is awaited"]
pub struct Enqueue<'a, W> {
    client: Client,
    what: W,
    options: Options,
    within: Option<&'a mut dyn EnqueueIn>,
}

/// One job.
#[derive(Debug)]
pub struct One<J>(pub(crate) J);

/// Any number of jobs of one kind.
#[derive(Debug)]
pub struct Many<J>(pub(crate) Vec<J>);

/// What can be enqueued at once.
pub trait Jobs: Send {
    /// Its job.
    type Job: Job;
    /// What is known of it then.
    type Handle;

    /// The jobs.
    fn jobs(&self) -> &[Self::Job];

    /// The answer.
    fn handle(client: Client, enqueued: Taken) -> Self::Handle;
}

/// What enqueueing has come to.
#[derive(Debug)]
pub struct Taken {
    pub(crate) ids: Vec<JobId>,
    pub(crate) existing: Option<JobId>,
    pub(crate) replaced: bool,
    pub(crate) unpushed: Option<Enqueued>,
}

impl Taken {
    fn of(enqueued: &Enqueued) -> Self {
        let (existing, replaced) = (enqueued.existing(), enqueued.replaced());
        Self { ids: enqueued.ids().to_vec(), existing, replaced, unpushed: None }
    }
}

impl<J: Job> Jobs for One<J> {
    type Job = J;
    type Handle = JobHandle;

    fn jobs(&self) -> &[J] {
        std::slice::from_ref(&self.0)
    }

    fn handle(client: Client, Taken { ids, existing, replaced, unpushed }: Taken) -> JobHandle {
        JobHandle { client, id: ids.first().copied().or(existing), is_new: !ids.is_empty(), replaced, unpushed }
    }
}

impl<J: Job> Jobs for Many<J> {
    type Job = J;
    type Handle = JobHandles;

    fn jobs(&self) -> &[J] {
        &self.0
    }

    fn handle(client: Client, Taken { ids, unpushed, .. }: Taken) -> JobHandles {
        JobHandles { client, ids, unpushed }
    }
}

impl<'a, W: Jobs> Enqueue<'a, W> {
    pub(crate) fn new(client: Client, what: W) -> Self {
        Self { client, what, options: Options::default(), within: None }
    }

    /// In the caller's transaction: with its commit the job is there, without it there was none. After the commit of a
    /// [`Tx`](crate::Tx) or a [`Transaction`](crate::Transaction) it starts at once; after that of any other
    /// [`JobHandle::push`] it, or the sweep finds it within three seconds.
    pub fn in_(mut self, tx: &'a mut dyn EnqueueIn) -> Self {
        self.within = Some(tx);
        self
    }

    /// So long after now, or after [`Enqueue::run_at`].
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }

    /// Not before this time.
    pub fn run_at(mut self, at: Timestamp) -> Self {
        self.options.run_at = Some(at);
        self
    }

    /// 0 is the most urgent, 9 the least.
    pub fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Failed attempts until it is dead.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.options.max_attempts = Some(attempts);
        self
    }

    /// The queue it waits in. A worker must take jobs of it: see [`App::queue`](crate::App::queue).
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.options.queue = Some(queue.into());
        self
    }

    /// How long one attempt may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How long to wait between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = Some(backoff);
        self
    }

    /// A job that has not started so long after it became due is cancelled in place of being run.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.options.expires_in = Some(time);
        self
    }

    /// How long it is kept when it has ended.
    pub fn retain(mut self, time: Duration) -> Self {
        self.options.retain = Some(time);
        self
    }

    /// A word to find it by. Called again, it adds another one.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.options.tags.push(tag.into());
        self
    }

    /// Does nothing while a job with this key waits or runs: see [`Enqueue::unique_mode`].
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.options.unique_key = Some(key.into());
        self
    }

    /// Does nothing for a time, or while a job is in certain states: see [`Unique`].
    pub fn unique(mut self, unique: Unique) -> Self {
        self.options.unique = Some(unique);
        self
    }

    /// What it does to the job that waits with its unique key: nothing, unless said here; or it takes its place
    /// ([`UniqueMode::Replace`]), or puts it off, too ([`UniqueMode::Debounce`]).
    ///
    /// ```no_run
    /// # use gristmill::prelude::*;
    /// # #[derive(Serialize, Deserialize, Job)] struct Reindex { shop: i64 }
    /// # async fn changed(client: &Client) -> gristmill::Result {
    /// // Once, ten seconds after the last change.
    /// let reindex = client.enqueue(Reindex { shop: 7 }).unique_key("reindex-7");
    /// reindex.delay(std::time::Duration::from_secs(10)).unique_mode(UniqueMode::Debounce).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unique_mode(mut self, mode: UniqueMode) -> Self {
        self.options.unique_mode = mode;
        self
    }

    /// Jobs with this key run one at a time, in the order in which they were enqueued, whatever their kinds and queues: one that
    /// fails and is tried again holds back those behind it until it has ended.
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.options.order_key = Some(key.into());
        self
    }

    /// Whose turn it takes: jobs of one queue and priority take turns by this key, and a queue can be limited by it.
    pub fn fair_key(mut self, key: impl Into<String>) -> Self {
        self.options.fair_key = Some(key.into());
        self
    }

    /// As a member of this group.
    pub fn group(mut self, group: GroupId) -> Self {
        self.options.group = Some(group);
        self
    }

    /// Everything that can be said, at once, in place of what was said before.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    async fn enqueue(self) -> Result<W::Handle, Error> {
        let Self { client, what, options, within } = self;
        let taken = match client.mode() {
            Mode::Engines(queue) => match within {
                Some(tx) => {
                    let enqueued = queue.enqueue_all(tx.connection(), what.jobs(), &options).await?;
                    let taken = Taken::of(&enqueued);
                    Taken { unpushed: tx.keep(enqueued), ..taken }
                }
                None => {
                    let mut tx = queue.pool().begin().await?;
                    let enqueued = queue.enqueue_all(&mut tx, what.jobs(), &options).await?;
                    tx.commit().await?;
                    let taken = Taken::of(&enqueued);
                    queue.push(enqueued).await;
                    taken
                }
            },
            #[cfg(feature = "testing")]
            Mode::Inline(inline) => {
                if within.is_some() {
                    return Err(Error::Inline("`.in_(&mut tx)`"));
                }
                inline.enqueue(&client, what.jobs(), &options).await?
            }
        };
        let attempts = options.max_attempts.unwrap_or(W::Job::MAX_ATTEMPTS);
        let queue = options.queue.as_deref().unwrap_or(W::Job::QUEUE);
        for id in &taken.ids {
            client.hooks().tell(|| JobEvent::enqueued(*id, W::Job::NAME, queue, attempts.into()));
        }
        Ok(W::handle(client, taken))
    }
}

impl<J: Job> Enqueue<'_, One<J>> {
    /// Enqueues it, waits until it has ended, and returns its result. Not in a transaction: it would wait for its own commit.
    ///
    /// # Errors
    /// As [`Client::wait`], and when it cannot be enqueued.
    pub async fn wait<T: DeserializeOwned + 'static>(self, timeout: Duration) -> Result<T, WaitError> {
        if self.within.is_some() {
            return Err(Error::Nothing("`.in_(…).wait(…)` would wait for its own commit: commit, and wait then").into());
        }
        self.await?.wait(timeout).await
    }
}

impl<'a, W: Jobs + 'a> IntoFuture for Enqueue<'a, W> {
    type Output = Result<W::Handle, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.enqueue())
    }
}

impl<W> fmt::Debug for Enqueue<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A job that was enqueued, or the one that holds its unique key.
#[derive(Debug)]
pub struct JobHandle {
    client: Client,
    id: Option<JobId>,
    is_new: bool,
    replaced: bool,
    unpushed: Option<Enqueued>,
}

impl JobHandle {
    /// Its id; of the job that holds the unique key, where there is one. None: that one has ended since.
    #[must_use]
    pub fn id(&self) -> Option<JobId> {
        self.id
    }

    /// Whether it was enqueued by this call: no other job held its unique key.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the job that waited with its unique key is now this one: see [`Enqueue::unique_mode`].
    #[must_use]
    pub fn replaced(&self) -> bool {
        self.replaced
    }

    /// Hands it to the broker, after the commit of a transaction that does not do so itself.
    pub async fn push(&mut self) {
        push(&self.client, self.unpushed.take()).await;
    }

    /// Waits until it has ended, and returns its result.
    ///
    /// # Errors
    /// As [`Client::wait`].
    pub async fn wait<T: DeserializeOwned + 'static>(&self, timeout: Duration) -> Result<T, WaitError> {
        let id = self.id.ok_or(Error::Nothing("the job that held the unique key has ended: its id is not known"))?;
        self.client.wait(id, timeout).await
    }
}

/// Jobs that were enqueued at once.
#[derive(Debug)]
pub struct JobHandles {
    client: Client,
    ids: Vec<JobId>,
    unpushed: Option<Enqueued>,
}

impl JobHandles {
    /// The new ones, in the order given.
    #[must_use]
    pub fn ids(&self) -> &[JobId] {
        &self.ids
    }

    /// Hands them to the broker, after the commit of a transaction that does not do so itself.
    pub async fn push(&mut self) {
        push(&self.client, self.unpushed.take()).await;
    }
}

async fn push(client: &Client, enqueued: Option<Enqueued>) {
    if let (Some(enqueued), Mode::Engines(queue)) = (enqueued, client.mode()) {
        queue.push(enqueued).await;
    }
}
