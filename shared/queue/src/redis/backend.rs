//! An apalis 1.0 `Backend` on Redis: leases, fenced answers, wake-ups in milliseconds, and no end
//! of the worker because of an error of Redis or of a payload.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use ::redis::{Client, RedisError, RedisResult};
use apalis_codec::json::JsonCodec;
use apalis_core::{
    backend::{Backend, BackendConfig, WireFormatBackend, codec::Codec, finalize::Durable},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Broker, DeadLetterSink, Hold, LeaseLayer, Links, RedisDeadLetters, Process, Roster,
    acks::{Answer, Answers, Note, Verdict},
    company::Company,
    fetch::{Claims, Fetched, Fetcher},
    keeper::Keeper,
    quiet::Quiet,
    sink::Outgoing,
};

/// How one worker uses one queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Prefix of all keys.
    pub namespace: String,
    /// The queue.
    pub queue: String,
    /// Jobs held at one time, running or about to.
    pub concurrency: usize,
    /// How long a silent worker keeps its jobs.
    pub lease: Duration,
    /// Deliveries that may end without success. After two (or one fewer than this) whose worker was lost, a job runs
    /// alone in its process, and only what happens to it there counts further.
    pub max_deliveries: u32,
    /// First and longest wait before a failed task is delivered again.
    pub backoff: (Duration, Duration),
    /// A name for people.
    pub label: String,
    /// Of the binary.
    pub version: String,
    /// The worker that this queue line is part of.
    pub process: Process,
}

impl Settings {
    /// The defaults for this queue.
    #[must_use]
    pub fn new(namespace: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            queue: queue.into(),
            concurrency: 16,
            lease: Duration::from_secs(6),
            max_deliveries: 10,
            backoff: (Duration::from_secs(1), Duration::from_secs(600)),
            label: String::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            process: Process::default(),
        }
    }
}

/// Tells a running task that its lease went to somebody else. Every task carries one in its data.
#[derive(Debug, Clone)]
pub struct LeaseLost(pub CancellationToken);

/// How a running task is called in the list of what runs. Every task carries one in its data, for whoever decodes its
/// payload to fill in.
#[derive(Debug, Clone, Default)]
pub struct RunningName(Arc<OnceLock<Arc<str>>>);

impl RunningName {
    /// Says it. The first one stays.
    pub fn set(&self, name: &Arc<str>) {
        self.0.get_or_init(|| Arc::clone(name));
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.get().map(|name| name.to_string())
    }
}

/// Tasks of one priority take turns by this key. Put it in the data of a task that is pushed; every task that runs has
/// one, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FairKey(pub String);

/// A queue of `Args` in Redis.
pub struct RedisBackend<Args, C = JsonCodec<Vec<u8>>> {
    pub(super) broker: Broker,
    pub(super) links: Links,
    pub(super) outgoing: Outgoing,
    settings: Settings,
    codec: C,
    dead_letters: Arc<dyn DeadLetterSink>,
    fetched: Fetching,
    claims: Option<Arc<Claims>>,
    hold: Option<Arc<Hold>>,
    /// No more claims.
    stop: CancellationToken,
    /// Nothing is being claimed any more, and what was claimed and not started is given back.
    claimed: CancellationToken,
    /// No more renewals.
    end: CancellationToken,
    // Only for `Sync`: nobody ever waits for this lock.
    closing: Option<Mutex<BoxFuture<'static, ()>>>,
    args: PhantomData<fn() -> Args>,
}

/// Shared with the driver, which takes back what was not started when the worker stops.
type Fetching = Arc<Mutex<Option<mpsc::UnboundedReceiver<Fetched>>>>;

impl<Args> RedisBackend<Args> {
    /// A queue of JSON. Redis need not be there yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, settings: Settings) -> RedisResult<Self> {
        Self::with_codec(Client::open(url)?, settings, JsonCodec::default())
    }
}

impl<Args, C> RedisBackend<Args, C> {
    /// A queue whose payloads are written by `codec`.
    ///
    /// # Errors
    /// When the client's settings are not usable.
    pub fn with_codec(client: Client, settings: Settings, codec: C) -> RedisResult<Self> {
        Ok(Self::with_links(&Links::new(client)?, settings, codec))
    }

    /// The same, on connections that it shares with other queues.
    #[must_use]
    pub fn with_links(links: &Links, settings: Settings, codec: C) -> Self {
        let broker = Broker::new(&settings.namespace, &settings.queue);
        Self {
            dead_letters: Arc::new(RedisDeadLetters::new(links.answers().clone(), &broker)),
            broker,
            links: links.clone(),
            settings,
            codec,
            outgoing: Outgoing::default(),
            fetched: Fetching::default(),
            claims: None,
            hold: None,
            stop: CancellationToken::new(),
            claimed: CancellationToken::new(),
            end: CancellationToken::new(),
            closing: None,
            args: PhantomData,
        }
    }

    /// Where the jobs go that are given up.
    #[must_use]
    pub fn dead_letters(mut self, dead_letters: impl DeadLetterSink) -> Self {
        self.dead_letters = Arc::new(dead_letters);
        self
    }

    /// Once cancelled, the worker claims nothing more and gives back what it has not started, at once;
    /// apalis' own stop does the same when the last running task has ended.
    #[must_use]
    pub fn stop_claiming(&self) -> CancellationToken {
        self.stop.clone()
    }
}

impl<Args, C> Drop for RedisBackend<Args, C> {
    fn drop(&mut self) {
        self.stop.cancel();
        self.end.cancel();
    }
}

impl<Args, C> Unpin for RedisBackend<Args, C> {}

impl<Args, C> Backend for RedisBackend<Args, C> {
    type Task = Task<Vec<u8>>;
    type Error = RedisError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), RedisError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Vec<u8>>, RedisError>>> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(receiver) = fetched.as_mut() else { return Poll::Pending };
        match receiver.poll_recv(cx) {
            Poll::Ready(Some(Fetched { lease, lost, name })) => {
                let task = TaskBuilder::new(lease.payload)
                    .task_id(TaskId::from_string(lease.id))
                    .attempt(usize::try_from(lease.number - 1).unwrap_or(usize::MAX))
                    .priority(lease.priority.into())
                    .data(LeaseLost(lost))
                    .data(name)
                    .data(FairKey(lease.key))
                    .data(lease.strikes)
                    .data(self.hold.clone())
                    .build();
                Poll::Ready(Some(Ok(task)))
            }
            // The fetcher ends when this worker is told to stop; apalis must not take that for an exhausted source.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), RedisError>> {
        let closing = self.closing.get_or_insert_with(|| {
            let (stop, end) = (self.stop.clone(), self.end.clone());
            let (claimed, claims) = (self.claimed.clone(), self.claims.clone());
            Mutex::new(Box::pin(async move {
                stop.cancel();
                if let Some(claims) = claims {
                    let flushed = async {
                        // A claim on its way is given back too, before the flush.
                        claimed.cancelled().await;
                        let (sender, flushed) = oneshot::channel();
                        claims.note(Note::Flush(sender));
                        let _ = flushed.await;
                    };
                    // With Redis away the leases run out by themselves.
                    let _ = tokio::time::timeout(Duration::from_secs(5), flushed).await;
                }
                end.cancel();
            }))
        });
        closing.get_mut().unwrap_or_else(PoisonError::into_inner).poll_unpin(cx).map(Ok)
    }
}

fn take_back(fetched: &Fetching, claims: &Claims) {
    let mut fetched = fetched.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(receiver) = fetched.as_mut() else { return };
    receiver.close();
    while let Ok(Fetched { lease, .. }) = receiver.try_recv() {
        claims.answer(Answer { id: lease.id, number: lease.number, verdict: Verdict::Back(Duration::ZERO) });
    }
}

impl<Args, C> RedisBackend<Args, C>
where
    C: Codec<Args, Compact = Vec<u8>> + Clone + Send + Sync + 'static,
    C::Error: std::fmt::Display,
{
    fn start(
        &self,
        claims: &Arc<Claims>,
        answers: mpsc::UnboundedReceiver<Note>,
        out: mpsc::UnboundedSender<Fetched>,
    ) -> std::io::Result<()> {
        let Settings { lease, ref process, ref queue, ref label, .. } = self.settings;
        let thread = self.links.thread(&self.settings.namespace)?;
        let keeper = Keeper {
            broker: self.broker.clone(),
            claims: Arc::clone(claims),
            dead_letters: Arc::clone(&self.dead_letters),
            lease,
            max_deliveries: self.settings.max_deliveries,
            roster: Roster::new(&self.settings.namespace),
            process: process.clone(),
            label: label.clone(),
            version: self.settings.version.clone(),
            queue: queue.clone(),
            concurrency: self.settings.concurrency,
            thread: Arc::clone(&thread),
            stop: self.stop.clone(),
            end: self.end.clone(),
        };
        keeper.start();
        let vitals = process.line(queue, self.links.wanted());
        let sender = Answers {
            broker: self.broker.clone(),
            link: self.links.answers().clone(),
            lease,
            max_deliveries: self.settings.max_deliveries,
            vitals: Arc::clone(&vitals),
            claims: Arc::clone(claims),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        tokio::spawn(sender.send(answers, self.end.clone()));
        let codec = self.codec.clone();
        let fetcher = Fetcher {
            broker: self.broker.clone(),
            link: self.links.claims().clone(),
            thread,
            vitals,
            lease,
            claims: Arc::clone(claims),
            quiet: Quiet::of(&self.settings.namespace),
            stop: self.stop.clone(),
            out,
            flaw: Box::new(move |payload| codec.decode(payload).err().map(|error| error.to_string())),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        let (fetched, own, claimed) = (Arc::clone(&self.fetched), Arc::clone(claims), self.claimed.clone());
        tokio::spawn(async move {
            let _claimed = claimed.drop_guard();
            fetcher.run().await;
            take_back(&fetched, &own);
        });
        Ok(())
    }
}

impl<Args, C> BackendConfig for RedisBackend<Args, C>
where
    Args: 'static,
    C: Codec<Args, Compact = Vec<u8>> + Clone + Send + Sync + 'static,
    C::Error: std::fmt::Display,
{
    type Args = Args;
    type Id = Uuid;
    type Kind = Durable;
    type Config = Settings;
    type Layer = LeaseLayer;

    fn config(&self) -> &Settings {
        &self.settings
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> LeaseLayer {
        let (notes, answers) = mpsc::unbounded_channel();
        let (out, fetched) = mpsc::unbounded_channel();
        let claims = Arc::new(Claims::new(self.settings.concurrency.max(1), notes));
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        self.claims = Some(Arc::clone(&claims));
        self.hold = Some(Arc::new(Hold {
            broker: self.broker.clone(),
            link: self.links.answers().clone(),
            claims: Arc::clone(&claims),
            lease: self.settings.lease,
        }));

        if let Err(error) = self.start(&claims, answers, out) {
            // Without renewals every job would run twice: rather run none.
            tracing::error!(%error, "the broker's client cannot be started: this worker takes no jobs");
            self.stop.cancel();
            self.claimed.cancel();
        }
        LeaseLayer {
            claims,
            backoff: self.settings.backoff,
            company: Company {
                broker: self.broker.clone(),
                link: self.links.answers().clone(),
                quiet: Quiet::of(&self.settings.namespace),
                max_deliveries: self.settings.max_deliveries,
                stop: self.stop.clone(),
            },
        }
    }
}

impl<Args, C: Send + 'static> WireFormatBackend for RedisBackend<Args, C> {
    type Codec = C;
    type Compact = Vec<u8>;

    fn codec(&self) -> &C {
        &self.codec
    }
}
