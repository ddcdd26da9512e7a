//! An apalis 1.0 `Backend` on any broker: leases, fenced acknowledgements, wake-ups in milliseconds. No error of the broker or
//! of a payload ends the worker.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

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
    DeadLetterSink, FairKey, LeaseCheck, LeaseLayer, LeaseLost, Settings,
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
use crate::broker::{BrokerError, Links};

/// A queue of `Args` in a broker.
pub struct LeaseBackend<Args, C = JsonCodec<Vec<u8>>> {
    pub(super) links: Links,
    pub(super) outgoing: PushBuffer,
    pub(super) settings: Settings,
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
    /// Cancelled when the registry of workers lacks this queue again.
    deregistered: CancellationToken,
    // A mutex only for `Sync`: no thread ever waits for it.
    closing: Option<Mutex<BoxFuture<'static, ()>>>,
    args: PhantomData<fn() -> Args>,
}

impl<Args, C> LeaseBackend<Args, C> {
    /// A queue on connections that it shares with other queues.
    pub(crate) fn on(links: Links, settings: Settings, codec: C, dead_letters: Arc<dyn DeadLetterSink>) -> Self {
        Self {
            links,
            settings,
            codec,
            dead_letters,
            outgoing: PushBuffer::default(),
            fetched: FetchedJobs::default(),
            held: None,
            lease_check: None,
            stop: CancellationToken::new(),
            claimed: CancellationToken::new(),
            end: CancellationToken::new(),
            deregistered: CancellationToken::new(),
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

impl<Args, C> Drop for LeaseBackend<Args, C> {
    fn drop(&mut self) {
        self.stop.cancel();
        self.end.cancel();
    }
}

impl<Args, C> Unpin for LeaseBackend<Args, C> {}

impl<Args, C> Backend for LeaseBackend<Args, C> {
    type Task = Task<Vec<u8>>;
    type Error = BrokerError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), BrokerError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Vec<u8>>, BrokerError>>> {
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

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), BrokerError>> {
        let closing = self.closing.get_or_insert_with(|| {
            let (stop, end) = (self.stop.clone(), self.end.clone());
            let (claimed, deregistered, held) = (self.claimed.clone(), self.deregistered.clone(), self.held.clone());
            Mutex::new(Box::pin(async move {
                stop.cancel();
                let started = held.is_some();
                if let Some(held) = held {
                    let flushed = async {
                        // A claim that is under way is released too, before the flush.
                        claimed.cancelled().await;
                        let (sender, flushed) = oneshot::channel();
                        held.send(AckMessage::Flush(sender));
                        let _ = flushed.await;
                    };
                    // While the broker is unreachable the leases run out by themselves.
                    let _ = tokio::time::timeout(Duration::from_secs(5), flushed).await;
                }
                end.cancel();
                if started {
                    // Whoever has seen the worker end finds it listed no more, and a process that ends leaves no entry behind.
                    let _ = tokio::time::timeout(Duration::from_secs(2), deregistered.cancelled()).await;
                }
            }))
        });
        closing.get_mut().unwrap_or_else(PoisonError::into_inner).poll_unpin(cx).map(Ok)
    }
}

impl<Args, C> LeaseBackend<Args, C>
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
        let thread = self.links.thread()?;
        let (claims, answers) = (self.links.claims().queue(queue), self.links.answers().queue(queue));
        let leases = thread.broker.queue(queue);
        let keeper = LeaseKeeper {
            renewer: Renewer { queue: leases.clone(), held: Arc::clone(held), lease },
            heartbeat: HeartbeatSender::new(thread.broker.clone(), &self.settings, Arc::clone(held), self.stop.clone()),
            reaper: Reaper {
                queue: leases,
                held: Arc::clone(held),
                dead_letters: Arc::clone(&self.dead_letters),
                lease,
                max_deliveries: self.settings.max_deliveries,
                runtime: Handle::current(),
            },
            thread: Arc::clone(&thread),
            end: self.end.clone(),
            _deregistered: self.deregistered.clone().drop_guard(),
        };
        keeper.start();
        let vitals = worker_state.add_queue(queue, self.links.generation());
        let sender = AckSender {
            queue: answers,
            lease,
            max_deliveries: self.settings.max_deliveries,
            vitals: Arc::clone(&vitals),
            held: Arc::clone(held),
            dead_letters: Arc::clone(&self.dead_letters),
        };
        tokio::spawn(sender.run(replies, self.end.clone()));
        let codec = self.codec.clone();
        let fetcher = Fetcher {
            queue: claims,
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

impl<Args, C> BackendConfig for LeaseBackend<Args, C>
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
            queue: self.links.answers().queue(&self.settings.queue),
            held: Arc::clone(&held),
            lease: self.settings.lease,
        }));

        if let Err(error) = self.start(&held, replies, out) {
            // Without renewals every job would run twice: running none is better.
            tracing::error!(%error, "starting the lease thread failed: this worker claims no jobs");
            self.stop.cancel();
            self.claimed.cancel();
            self.deregistered.cancel();
        }
        LeaseLayer {
            held,
            backoff: self.settings.backoff,
            isolation: Isolation {
                queue: self.links.answers().queue(&self.settings.queue),
                occupancy: Occupancy::of(&self.settings.namespace),
                max_deliveries: self.settings.max_deliveries,
                stop: self.stop.clone(),
            },
        }
    }
}

impl<Args, C: Send + 'static> WireFormatBackend for LeaseBackend<Args, C> {
    type Codec = C;
    type Compact = Vec<u8>;

    fn codec(&self) -> &C {
        &self.codec
    }
}
