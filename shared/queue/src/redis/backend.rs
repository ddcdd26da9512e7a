//! An apalis 1.0 `Backend` on Redis: leases, fenced acknowledgements, wake-ups in milliseconds. No error of Redis or of a
//! payload ends the worker.

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
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Broker, Connections, DeadLetterSink, LeaseCheck, LeaseLayer, RedisDeadLetters, WorkerState,
    acks::{AckMessage, AckSender},
    fetch::Fetcher,
    heartbeat::HeartbeatSender,
    held_leases::{ClaimedJob, FetchedJobs, HeldLeases, release_unstarted},
    isolation::Isolation,
    lease_keeper::LeaseKeeper,
    occupancy::Occupancy,
    reaper::Reaper,
    renewer::Renewer,
    sink::PushBuffer,
};

/// How one worker uses one queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The prefix of all keys.
    pub namespace: String,
    /// The queue.
    pub queue: String,
    /// How many jobs the worker holds at a time, running or about to run.
    pub concurrency: usize,
    /// How long a worker keeps its jobs without renewing their leases.
    pub lease: Duration,
    /// How many deliveries of a job may end without success. After two (or one fewer than this) whose worker was lost, the
    /// job runs alone in its process, and from then on only deliveries that failed there count.
    pub max_deliveries: u32,
    /// First and longest delay before a failed task is delivered again.
    pub backoff: (Duration, Duration),
    /// A name for people.
    pub label: String,
    /// The version of the binary.
    pub version: String,
    /// The worker that this queue belongs to.
    pub worker_state: WorkerState,
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
            worker_state: WorkerState::default(),
        }
    }
}

/// Is cancelled when another worker takes over the lease of a running task. Every task carries one in its data.
#[derive(Debug, Clone)]
pub struct LeaseLost(pub CancellationToken);

/// The name of a running task in the worker registry. Every task carries one in its data; the service sets it when it has
/// decoded the payload.
#[derive(Debug, Clone, Default)]
pub struct RunningName(Arc<OnceLock<Arc<str>>>);

impl RunningName {
    /// Sets the name. Later calls change nothing.
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
    pub(super) connections: Connections,
    pub(super) outgoing: PushBuffer,
    settings: Settings,
    codec: C,
    dead_letters: Arc<dyn DeadLetterSink>,
    fetched: FetchedJobs,
    held: Option<Arc<HeldLeases>>,
    lease_check: Option<Arc<LeaseCheck>>,
    /// Cancelled when nothing more is to be claimed.
    stop: CancellationToken,
    /// Cancelled when no claim is under way any more and the jobs that were not started are released.
    claimed: CancellationToken,
    /// Cancelled when leases are not to be renewed any more.
    end: CancellationToken,
    // A mutex only for `Sync`: no thread ever waits for it.
    closing: Option<Mutex<BoxFuture<'static, ()>>>,
    args: PhantomData<fn() -> Args>,
}

impl<Args> RedisBackend<Args> {
    /// A queue of JSON. Redis need not be there yet.
    ///
    /// # Errors
    /// Returns an error if the URL is not a Redis URL.
    pub fn new(url: &str, settings: Settings) -> RedisResult<Self> {
        Self::with_codec(Client::open(url)?, settings, JsonCodec::default())
    }
}

impl<Args, C> RedisBackend<Args, C> {
    /// A queue whose payloads are written by `codec`.
    ///
    /// # Errors
    /// Returns an error if the client's settings cannot be used.
    pub fn with_codec(client: Client, settings: Settings, codec: C) -> RedisResult<Self> {
        Ok(Self::with_connections(&Connections::new(client)?, settings, codec))
    }

    /// A queue on connections that it shares with other queues.
    #[must_use]
    pub fn with_connections(connections: &Connections, settings: Settings, codec: C) -> Self {
        let broker = Broker::new(&settings.namespace, &settings.queue);
        Self {
            dead_letters: Arc::new(RedisDeadLetters::new(connections.answers().clone(), &broker)),
            broker,
            connections: connections.clone(),
            settings,
            codec,
            outgoing: PushBuffer::default(),
            fetched: FetchedJobs::default(),
            held: None,
            lease_check: None,
            stop: CancellationToken::new(),
            claimed: CancellationToken::new(),
            end: CancellationToken::new(),
            closing: None,
            args: PhantomData,
        }
    }

    /// Sets where the jobs go that are not delivered again.
    #[must_use]
    pub fn dead_letters(mut self, dead_letters: impl DeadLetterSink) -> Self {
        self.dead_letters = Arc::new(dead_letters);
        self
    }

    /// Once cancelled, the worker claims nothing more and releases what it has not started, at once;
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
            Poll::Ready(Some(ClaimedJob { lease, lost, name })) => {
                let task = TaskBuilder::new(lease.payload)
                    .task_id(TaskId::from_string(lease.id))
                    .attempt(usize::try_from(lease.number - 1).unwrap_or(usize::MAX))
                    .priority(lease.priority.into())
                    .data(LeaseLost(lost))
                    .data(name)
                    .data(FairKey(lease.key))
                    .data(lease.failed_deliveries)
                    .data(self.lease_check.clone())
                    .build();
                Poll::Ready(Some(Ok(task)))
            }
            // The fetcher ends when this worker stops; apalis must not take that for an exhausted source.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), RedisError>> {
        let closing = self.closing.get_or_insert_with(|| {
            let (stop, end) = (self.stop.clone(), self.end.clone());
            let (claimed, held) = (self.claimed.clone(), self.held.clone());
            Mutex::new(Box::pin(async move {
                stop.cancel();
                if let Some(held) = held {
                    let flushed = async {
                        // A claim that is under way is released too, before the flush.
                        claimed.cancelled().await;
                        let (sender, flushed) = oneshot::channel();
                        held.send(AckMessage::Flush(sender));
                        let _ = flushed.await;
                    };
                    // While Redis is unreachable the leases run out by themselves.
                    let _ = tokio::time::timeout(Duration::from_secs(5), flushed).await;
                }
                end.cancel();
            }))
        });
        closing.get_mut().unwrap_or_else(PoisonError::into_inner).poll_unpin(cx).map(Ok)
    }
}

impl<Args, C> RedisBackend<Args, C>
where
    C: Codec<Args, Compact = Vec<u8>> + Clone + Send + Sync + 'static,
    C::Error: std::fmt::Display,
{
    fn start(
        &self,
        held: &Arc<HeldLeases>,
        replies: mpsc::UnboundedReceiver<AckMessage>,
        out: mpsc::UnboundedSender<ClaimedJob>,
    ) -> std::io::Result<()> {
        let Settings { lease, ref worker_state, ref queue, .. } = self.settings;
        let thread = self.connections.thread(&self.settings.namespace)?;
        let keeper = LeaseKeeper {
            renewer: Renewer { broker: self.broker.clone(), held: Arc::clone(held), lease },
            heartbeat: HeartbeatSender::new(&self.settings, Arc::clone(held), self.stop.clone()),
            reaper: Reaper {
                broker: self.broker.clone(),
                held: Arc::clone(held),
                dead_letters: Arc::clone(&self.dead_letters),
                lease,
                max_deliveries: self.settings.max_deliveries,
                runtime: Handle::current(),
            },
            thread: Arc::clone(&thread),
            end: self.end.clone(),
        };
        keeper.start();
        let vitals = worker_state.add_queue(queue, self.connections.generation());
        let sender = AckSender {
            broker: self.broker.clone(),
            connection: self.connections.answers().clone(),
            lease,
            max_deliveries: self.settings.max_deliveries,
            vitals: Arc::clone(&vitals),
            held: Arc::clone(held),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        tokio::spawn(sender.run(replies, self.end.clone()));
        let codec = self.codec.clone();
        let fetcher = Fetcher {
            broker: self.broker.clone(),
            connection: self.connections.claims().clone(),
            thread,
            vitals,
            lease,
            held: Arc::clone(held),
            occupancy: Occupancy::of(&self.settings.namespace),
            stop: self.stop.clone(),
            out,
            decode_check: Box::new(move |payload| codec.decode(payload).err().map(|error| error.to_string())),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        let (fetched, own, claimed) = (Arc::clone(&self.fetched), Arc::clone(held), self.claimed.clone());
        tokio::spawn(async move {
            let _claimed = claimed.drop_guard();
            fetcher.run().await;
            release_unstarted(&fetched, &own);
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
        let (acks, replies) = mpsc::unbounded_channel();
        let (out, fetched) = mpsc::unbounded_channel();
        let held = Arc::new(HeldLeases::new(self.settings.concurrency.max(1), acks));
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        self.held = Some(Arc::clone(&held));
        self.lease_check = Some(Arc::new(LeaseCheck {
            broker: self.broker.clone(),
            connection: self.connections.answers().clone(),
            held: Arc::clone(&held),
            lease: self.settings.lease,
        }));

        if let Err(error) = self.start(&held, replies, out) {
            // Without renewals every job would run twice: running none is better.
            tracing::error!(%error, "starting the lease thread failed: this worker claims no jobs");
            self.stop.cancel();
            self.claimed.cancel();
        }
        LeaseLayer {
            held,
            backoff: self.settings.backoff,
            isolation: Isolation {
                broker: self.broker.clone(),
                connection: self.connections.answers().clone(),
                occupancy: Occupancy::of(&self.settings.namespace),
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
