//! A worker: bodies by job name, and how many of which queue run at a time.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use apalis_core::worker::builder::WorkerBuilder as ApalisBuilder;
use futures::future::BoxFuture;
use gristmill_core::ClientId;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    Claim, Job, JobError, JobEvent, Queue, QueueError, Source, codec,
    delivery::{LeaseBackend, Settings, WorkerState},
    ledger::park::Reader,
    observer::Observer,
    run::{LedgerDeadLetters, RawCodec, Runner, Service, known},
    watchdog,
};

/// What a body gets beside the job.
#[derive(Clone)]
pub struct Context {
    /// For [`Queue::lock`] and [`Queue::complete`].
    pub claim: Claim,
    /// The job's name on the wire.
    pub name: Arc<str>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The number of the last attempt.
    pub max_attempts: u32,
    /// Cancelled when the job is cancelled, and when another worker has taken it over. A body that ignores it is dropped five
    /// seconds later.
    pub cancel: CancellationToken,
    /// To complete this job and to enqueue others.
    pub queue: Queue,
    /// The client that the job was enqueued for.
    pub client_id: Option<ClientId>,
    /// The W3C `traceparent` it was enqueued with. What the body enqueues follows the body.
    pub trace_parent: Option<String>,
}

/// An async function of a [`Context`] and a job.
pub trait Body<J>: Fn(Context, J) -> <Self as Body<J>>::Run + Send + Sync + 'static {
    /// One run.
    type Run: Future<Output = Result<(), JobError>> + Send + 'static;
}

impl<J, F, Run> Body<J> for F
where
    F: Fn(Context, J) -> Run + Send + Sync + 'static,
    Run: Future<Output = Result<(), JobError>> + Send + 'static,
{
    type Run = Run;
}

/// Of a context, a payload, and the version that payload was written by.
type Call = dyn Fn(Context, &str, u16) -> Result<BoxFuture<'static, Result<(), JobError>>, Source> + Send + Sync;

/// A registered body.
#[derive(Clone)]
pub(crate) struct RegisteredJob {
    pub(crate) name: Arc<str>,
    pub(crate) timeout: Duration,
    pub(crate) version: u16,
    pub(crate) backoff: fn(u32) -> Option<Duration>,
    pub(crate) call: Arc<Call>,
}

/// Why a worker cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// There is no queue to work on.
    #[error("a worker needs a queue: Worker::builder(..).queue(name, concurrency)")]
    NoQueue,
    /// Another ledger's workers use its namespace in Redis.
    #[error(transparent)]
    NamespaceTaken(QueueError),
}

/// Runs jobs. See [`Worker::builder`].
#[derive(Clone)]
pub struct Worker {
    queue: Queue,
    label: String,
    queues: Vec<(String, usize)>,
    bodies: Arc<HashMap<&'static str, RegisteredJob>>,
    lost: Arc<HashMap<&'static str, RegisteredJob>>,
    observer: Observer,
    health: WorkerHealth,
}

/// Builds a [`Worker`].
pub struct WorkerBuilder {
    queue: Queue,
    label: String,
    queues: Vec<(String, usize)>,
    bodies: HashMap<&'static str, RegisteredJob>,
    lost: HashMap<&'static str, RegisteredJob>,
    observer: Observer,
    health: WorkerHealth,
}

/// The health of a worker. Cheap to clone; it can be read before and after the worker runs.
#[derive(Clone, Debug, Default)]
pub struct WorkerHealth(Arc<RwLock<Option<WorkerState>>>);

impl WorkerHealth {
    /// Why the worker is unhealthy. `None` means that it is healthy. See [`crate::QueueConfig::watchdog`].
    #[must_use]
    pub fn unhealthy_reason(&self) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(WorkerState::unhealthy_reason)
    }

    fn attach(&self, worker_state: &WorkerState) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(worker_state.clone());
    }
}

impl WorkerBuilder {
    /// Sets the worker's name for people. Its id is random.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the handle that health checks read.
    #[must_use]
    pub fn health(mut self, health: WorkerHealth) -> Self {
        self.health = health;
        self
    }

    /// Runs jobs of this queue, at most `concurrency` at a time.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>, concurrency: usize) -> Self {
        self.queues.push((name.into(), concurrency.max(1)));
        self
    }

    /// Sets the body of job `J`: a function by its name, `.register(greet)`, or a closure,
    /// `.register::<Greet>(|ctx, job| async move { … })`. A function says itself which job it is for.
    #[must_use]
    pub fn register<J: Job>(mut self, body: impl Body<J>) -> Self {
        enter::<J>(&mut self.bodies, body);
        self
    }

    /// Sets the body of the job that `body` takes, and what it works with: each run gets a clone of `state`. Keep what
    /// several jobs use in one struct that is cheap to clone (a pool, an `Arc`), and register each job by a line.
    ///
    /// ```no_run
    /// use gristmill_queue::{Context, Job, JobError, Queue, Worker};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone)]
    /// struct Env {
    ///     shop: std::sync::Arc<str>,
    /// }
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Greet {}
    /// impl Job for Greet { const NAME: &'static str = "greet"; }
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Thank {}
    /// impl Job for Thank { const NAME: &'static str = "thank"; }
    ///
    /// async fn greet(env: Env, _: Context, _: Greet) -> Result<(), JobError> {
    ///     println!("{} greets", env.shop);
    ///     Ok(())
    /// }
    ///
    /// async fn thank(env: Env, _: Context, _: Thank) -> Result<(), JobError> {
    ///     println!("{} thanks", env.shop);
    ///     Ok(())
    /// }
    ///
    /// fn worker(queue: &Queue, env: &Env) -> Worker {
    ///     Worker::builder(queue).queue("default", 4).register_with(env, greet).register_with(env, thank).build()
    /// }
    /// ```
    #[must_use]
    pub fn register_with<S, J, Run>(
        self,
        state: &S,
        body: impl Fn(S, Context, J) -> Run + Send + Sync + 'static,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        J: Job,
        Run: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        self.register(with_state(state, body))
    }

    /// Sets what runs instead of making a job `J` dead that was lost with as many workers as is allowed. It runs in some
    /// worker of the queue, fenced and under the job's timeout like any other body, and should not touch what may be
    /// deadly. To end well it finishes the job in its own transaction, by [`Queue::replace`] or [`Queue::complete`]; when
    /// it returns `Ok` without that, the job is dead after all. It is asked again when it fails, but for
    /// [`JobError::Discard`].
    #[must_use]
    pub fn on_worker_lost<J: Job>(mut self, handler: impl Body<J>) -> Self {
        enter::<J>(&mut self.lost, handler);
        self
    }

    /// [`WorkerBuilder::on_worker_lost`] for a handler that works with `state`, as in [`WorkerBuilder::register_with`].
    #[must_use]
    pub fn on_worker_lost_with<S, J, Run>(
        self,
        state: &S,
        handler: impl Fn(S, Context, J) -> Run + Send + Sync + 'static,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        J: Job,
        Run: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        self.on_worker_lost(with_state(state, handler))
    }

    /// How long one attempt of job `J` may take in this worker, instead of [`Job::TIMEOUT`]. Call it after the job was
    /// registered.
    #[must_use]
    pub fn timeout<J: Job>(mut self, timeout: Duration) -> Self {
        for name in J::ALIASES.iter().chain([&J::NAME]) {
            for registered in [self.bodies.get_mut(name), self.lost.get_mut(name)].into_iter().flatten() {
                registered.timeout = timeout;
            }
        }
        self
    }

    /// Tells `observer` of each attempt that begins and of each end that the ledger has. It is called on the task that
    /// runs the job, and must not block.
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(JobEvent) + Send + Sync + 'static) -> Self {
        self.observer = Observer(Some(Arc::new(observer)));
        self
    }

    /// The worker.
    #[must_use]
    pub fn build(self) -> Worker {
        let Self { queue, label, queues, bodies, lost, observer, health } = self;
        Worker { queue, label, queues, bodies: Arc::new(bodies), lost: Arc::new(lost), observer, health }
    }
}

/// A body that hands each run a clone of `state`.
fn with_state<S, J, Run>(state: &S, body: impl Fn(S, Context, J) -> Run + Send + Sync + 'static) -> impl Body<J>
where
    S: Clone + Send + Sync + 'static,
    Run: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let state = state.clone();
    move |context, job| body(state.clone(), context, job)
}

/// Makes `body` the one of job `J`, under all its names.
fn enter<J: Job>(bodies: &mut HashMap<&'static str, RegisteredJob>, body: impl Body<J>) {
    let body = Arc::new(body);
    let call: Arc<Call> = Arc::new(move |context, payload, version| {
        let job: J = decode(payload, version)?;
        let body = Arc::clone(&body);
        // Inside the future, so that a panic before the first await is caught like any other.
        let run: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move { (*body)(context, job).await });
        Ok(run)
    });
    let registered =
        RegisteredJob { name: J::NAME.into(), timeout: J::TIMEOUT, version: J::VERSION, backoff: J::backoff, call };
    for name in J::ALIASES.iter().chain([&J::NAME]) {
        bodies.insert(name, registered.clone());
    }
}

fn decode<J: Job>(payload: &str, version: u16) -> Result<J, Source> {
    if version == J::VERSION {
        return Ok(serde_json::from_str(payload)?);
    }
    if version > J::VERSION {
        return Err(format!("it is of version {version}, this binary knows {}", J::VERSION).into());
    }
    Ok(serde_json::from_value(J::upgrade(version, serde_json::from_str(payload)?)?)?)
}

impl Worker {
    /// Starts with no queue and no job.
    #[must_use]
    pub fn builder(queue: &Queue) -> WorkerBuilder {
        WorkerBuilder {
            queue: queue.clone(),
            label: String::new(),
            queues: Vec::new(),
            bodies: HashMap::new(),
            lost: HashMap::new(),
            observer: Observer::default(),
            health: WorkerHealth::default(),
        }
    }

    /// The queue it works for.
    #[must_use]
    pub fn ledger(&self) -> &Queue {
        &self.queue
    }

    /// Its health, while it runs.
    #[must_use]
    pub fn health(&self) -> WorkerHealth {
        self.health.clone()
    }

    /// The names of the jobs that it has bodies for, in no order.
    pub fn jobs(&self) -> impl Iterator<Item = &'static str> {
        self.bodies.keys().copied()
    }

    pub(crate) fn observer(&self) -> Observer {
        self.observer.clone()
    }

    pub(crate) fn bodies(&self) -> Arc<HashMap<&'static str, RegisteredJob>> {
        Arc::clone(&self.bodies)
    }

    /// Runs until `shutdown`; then takes no more jobs, gives back what has not started, lets running jobs finish
    /// within the grace period, and gives back the rest. No fault of an engine ends it.
    ///
    /// # Errors
    /// Returns [`WorkerError::NoQueue`] if the worker was built without a queue, and [`WorkerError::NamespaceTaken`] if another
    /// ledger uses its namespace in Redis.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        if self.queues.is_empty() {
            return Err(WorkerError::NoQueue);
        }
        // An engine that is away says nothing against it, and is not waited for.
        let held = tokio::time::timeout(Duration::from_secs(2), self.queue.hold_namespace()).await;
        if let Ok(Err(taken @ QueueError::NamespaceTaken { .. })) = held {
            return Err(WorkerError::NamespaceTaken(taken));
        }
        let give_up = CancellationToken::new();
        let worker_state = WorkerState::default();
        worker_state.set_known_jobs(known::jobs(&self.bodies));
        worker_state.set_payload_keys(codec::keys(self.queue.config().codec()));
        // The first digits of the id that the list of workers has.
        let identity = format!("{:012x}", worker_state.id().as_u128() >> 80);
        let name = if self.label.is_empty() { identity } else { format!("{}-{identity}", self.label) };
        let runner = Arc::new(Runner::new(
            self.queue.clone(),
            Arc::clone(&self.bodies),
            Arc::clone(&self.lost),
            self.observer.clone(),
            name.into(),
            worker_state.clone(),
            give_up.clone(),
        ));
        let watch = {
            let runner = Arc::clone(&runner);
            AbortOnDropHandle::new(tokio::spawn(async move { runner.watch().await }))
        };
        let unpark = AbortOnDropHandle::new(tokio::spawn(self.clone().unpark(worker_state.id())));
        self.health.attach(&worker_state);
        let watchdog = AbortOnDropHandle::new(tokio::spawn(watchdog::watch(self.queue.clone(), worker_state.clone())));
        let mut lines = Vec::new();
        for (name, concurrency) in &self.queues {
            let line = WorkerQueue {
                queue: self.queue.clone(),
                label: self.label.clone(),
                worker_state: worker_state.clone(),
                name: name.clone(),
                concurrency: *concurrency,
                runner: Arc::clone(&runner),
                shutdown: shutdown.clone(),
            };
            lines.push(AbortOnDropHandle::new(tokio::spawn(line.run())));
        }
        let grace = async {
            shutdown.cancelled().await;
            tokio::time::sleep(self.queue.config().grace).await;
            info!("the grace period is over: running jobs are released");
            give_up.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = futures::future::join_all(lines) => {}
            () = grace => {}
        }
        drop((watch, unpark, watchdog));
        Ok(())
    }

    /// What workers of another version, or of other jobs, could not read, this one may: tried when it starts, and then
    /// again and again, as one that ended before it could look around may have parked it since.
    async fn unpark(self, id: Uuid) {
        let queues: Vec<String> = self.queues.iter().map(|(name, _)| name.clone()).collect();
        let jobs = known::jobs(&self.bodies);
        if jobs.is_empty() {
            return;
        }
        let config = self.queue.config();
        let keys = codec::keys(config.codec());
        let reader = known::reader(&config.version, &jobs, &keys);
        let reader = Reader { id: &reader, jobs: &jobs, keys: &keys };
        // Before the others know of it they would park again what it lets go.
        known::is_registered(&self.queue, id, &queues).await;
        let mut patient = false;
        loop {
            match self.queue.unpark(reader, &queues, patient).await {
                Ok(0) => {
                    patient = true;
                    tokio::time::sleep(known::UNPARK_INTERVAL).await;
                }
                Ok(jobs) => info!(jobs, "unparked jobs that other workers could not read"),
                Err(error) => {
                    warn!(error = gristmill_core::chain(&error), "looking for parked jobs failed; retrying");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// One queue of a worker: one apalis worker.
struct WorkerQueue {
    queue: Queue,
    label: String,
    worker_state: WorkerState,
    name: String,
    concurrency: usize,
    runner: Arc<Runner>,
    shutdown: CancellationToken,
}

impl WorkerQueue {
    fn backend(&self) -> LeaseBackend<Vec<u8>, RawCodec> {
        let config = self.queue.config();
        let settings = Settings {
            concurrency: self.concurrency,
            lease: config.lease,
            max_deliveries: config.max_deliveries,
            label: self.label.clone(),
            version: config.version.clone(),
            worker_state: self.worker_state.clone(),
            ..Settings::new(&config.namespace, &self.name)
        };
        let dead_letters = LedgerDeadLetters::new(self.runner.clone(), self.name.as_str().into());
        LeaseBackend::on(self.queue.links().clone(), settings, RawCodec, Arc::new(dead_letters))
    }

    async fn run(self) {
        let queue: Arc<str> = self.name.as_str().into();
        while !self.shutdown.is_cancelled() {
            let backend = self.backend();
            let (stop, shutdown) = (backend.stop_claiming(), self.shutdown.clone());
            let stopped = async move {
                shutdown.cancelled().await;
                stop.cancel();
                Ok::<_, apalis_core::error::WorkerError>(())
            };
            let name = format!("{}-{}", self.name, Uuid::new_v4().simple());
            let service = Service::new(Arc::clone(&self.runner), Arc::clone(&queue));
            let worker = ApalisBuilder::new(name.as_str()).backend(backend).build(service);
            // Its backend answers every error itself, so this is a bug somewhere; a queue without workers would be a worse one.
            if let Err(error) = worker.run_until(stopped).await {
                error!(%error, queue = %queue, "the worker ended; it starts again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
