//! A registered job: its handler, and what is around it.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use apalis_core::{
    error::{AbortError, DeferredError, RetryAfterError},
    task::extensions::Extensions,
    worker::context::WorkerContext,
};
use futures::future::BoxFuture;
use gristmill_queue::{Context, Job, JobError, JobLimits, Source, WorkerBuilder};
use tower::{Layer, Service, ServiceExt as _};

use crate::{
    Attempt, AttemptService, Client, Handler,
    attempt::{self, run_of},
    extract::Need,
};

/// What makes a service of another one.
pub(crate) type LayerFn = Arc<dyn Fn(AttemptService) -> AttemptService + Send + Sync>;

pub(crate) fn layer_fn<L>(layer: L) -> LayerFn
where
    L: Layer<AttemptService> + Send + Sync + 'static,
    L::Service: Service<Attempt, Response = ()> + Clone + Send + Sync + 'static,
    <L::Service as Service<Attempt>>::Error: Into<Source> + 'static,
    <L::Service as Service<Attempt>>::Future: Send + 'static,
{
    Arc::new(move |service| {
        let into: fn(<L::Service as Service<Attempt>>::Error) -> Source = Into::into;
        AttemptService::new(layer.layer(service).map_err(into))
    })
}

/// The first layer is the outermost.
fn layered(service: AttemptService, layers: &[LayerFn]) -> AttemptService {
    layers.iter().rev().fold(service, |service, layer| layer(service))
}

/// What is said of one job: see [`App::job_with`](crate::App::job_with).
#[must_use]
pub struct JobOptions<J> {
    layers: Vec<LayerFn>,
    lost: Option<(AttemptService, Vec<Need>)>,
    timeout: Option<Duration>,
    limits: JobLimits,
    fixed: bool,
    job: PhantomData<fn(J)>,
}

impl<J: Job> JobOptions<J> {
    pub(crate) fn new() -> Self {
        let limits = JobLimits::default();
        Self { layers: Vec::new(), lost: None, timeout: None, limits, fixed: false, job: PhantomData }
    }

    /// Wraps the attempts of this job in a layer, inside those of the application; see [`App::layer`](crate::App::layer).
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<AttemptService> + Send + Sync + 'static,
        L::Service: Service<Attempt, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<Attempt>>::Error: Into<Source> + 'static,
        <L::Service as Service<Attempt>>::Future: Send + 'static,
    {
        self.layers.push(layer_fn(layer));
        self
    }

    /// How long one attempt may take, in place of [`Job::TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Jobs of this name that run at a time, in all queues and processes. One that there is no room for waits in the ledger: it is
    /// in nobody's way, and it costs no attempt.
    pub fn concurrency(mut self, jobs: u32) -> Self {
        self.limits.concurrency = Some(jobs);
        self
    }

    /// Jobs of this name that start per second, in all queues and processes.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.limits.rate_per_second = Some(per_second);
        self
    }

    /// Jobs of this name that may start at once after a pause; unless given, those of one second.
    pub fn burst(mut self, jobs: u32) -> Self {
        self.limits.burst = Some(jobs);
        self
    }

    /// Jobs of this name and one fair key that run at a time, in all queues and processes.
    pub fn per_key(mut self, jobs: u32) -> Self {
        self.limits.key_concurrency = Some(jobs);
        self
    }

    /// Each of these jobs takes so many slots of a pool while it runs: see [`App::slots`](crate::App::slots). Called again, of another
    /// one, too.
    pub fn uses(mut self, pool: impl Into<String>, slots: u32) -> Self {
        self.limits.uses.insert(pool.into(), slots);
        self
    }

    /// The limits are set again at every start. Without this they are set once, and what an operator says later stays.
    pub fn fixed_limits(mut self) -> Self {
        self.fixed = true;
        self
    }

    /// Runs instead of making the job dead when it has taken too many workers down with it. It should not touch what may be
    /// deadly. With a [`Tx`](crate::Tx) the job is then completed; by [`Queue::replace`](gristmill_queue::Queue::replace) it puts others in
    /// its place; otherwise the job is dead after all.
    pub fn lost<A, H: Handler<A, Job = J>>(mut self, handler: H) -> Self {
        self.lost = Some((service(handler), H::needs()));
        self
    }
}

impl<J> fmt::Debug for JobOptions<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobOptions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A job with its handler, without the type of either.
pub(crate) struct JobEntry {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) queue: &'static str,
    pub(crate) needs: Vec<Need>,
    pub(crate) limits: JobLimits,
    /// Whatever an operator has said.
    pub(crate) fixed_limits: bool,
    service: AttemptService,
    lost: Option<AttemptService>,
    register: Register,
    #[cfg(feature = "testing")]
    pub(crate) inline: crate::inline::InlineJob,
}

type Register = Box<dyn Fn(WorkerBuilder, &Runner) -> WorkerBuilder + Send + Sync>;

impl JobEntry {
    pub(crate) fn new<A, H: Handler<A>>(handler: H, options: JobOptions<H::Job>) -> Self {
        let JobOptions { layers, lost, timeout, limits, fixed, .. } = options;
        let (lost, lost_needs) = lost.map_or((None, Vec::new()), |(service, needs)| (Some(service), needs));
        let is_lost_handled = lost.is_some();
        let register = move |builder: WorkerBuilder, runner: &Runner| {
            let body = runner.clone();
            let mut builder = builder.register::<H::Job>(move |context, job| body.clone().run(context, job, false));
            if is_lost_handled {
                let handler = runner.clone();
                builder = builder.on_worker_lost::<H::Job>(move |context, job| handler.clone().run(context, job, true));
            }
            match timeout {
                Some(timeout) => builder.timeout::<H::Job>(timeout),
                None => builder,
            }
        };
        Self {
            name: H::Job::NAME,
            aliases: H::Job::ALIASES,
            queue: H::Job::QUEUE,
            needs: H::needs().into_iter().chain(lost_needs).collect(),
            limits,
            fixed_limits: fixed,
            service: layered(service(handler), &layers),
            lost,
            register: Box::new(register),
            #[cfg(feature = "testing")]
            inline: crate::inline::InlineJob::of::<H::Job>(timeout),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.aliases.iter().copied().chain([self.name])
    }

    pub(crate) fn register(&self, builder: WorkerBuilder, runner: &Runner) -> WorkerBuilder {
        (self.register)(builder, runner)
    }
}

/// The innermost service: the handler itself.
fn service<A, H: Handler<A>>(handler: H) -> AttemptService {
    AttemptService::new(tower::service_fn(move |attempt: Attempt| handler.clone().call(attempt)))
}

/// Runs attempts: all of the application's layers around the handler of whichever job it is.
#[derive(Clone)]
pub(crate) struct Runner {
    service: AttemptService,
    client: Client,
    data: Arc<Extensions>,
}

impl Runner {
    pub(crate) fn new(jobs: &[JobEntry], layers: &[LayerFn], mut data: Extensions, client: Client) -> Self {
        // Layers of apalis ask for it: which worker this is, and whether it stops.
        data.insert(WorkerContext::new("gristmill"));
        let handlers = jobs.iter().map(|job| (job.name, Handlers { run: job.service.clone(), lost: job.lost.clone() }));
        let dispatch = AttemptService::new(Dispatch { handlers: Arc::new(handlers.collect()) });
        Self { service: layered(dispatch, layers), client, data: Arc::new(data) }
    }

    /// One attempt.
    pub(crate) async fn run<J: Job>(self, context: Context, job: J, lost: bool) -> Result<(), JobError> {
        let attempt = attempt::new(context, job, self.client, lost, &self.data);
        self.service.oneshot(attempt).await.map_err(job_error)
    }
}

/// What layers and handlers have said in the end. Apalis' own errors mean here what they mean there.
fn job_error(error: Source) -> JobError {
    let error = match error.downcast::<AbortError>() {
        Ok(abort) => return JobError::Discard(abort),
        Err(error) => error,
    };
    let error = match error.downcast::<RetryAfterError>() {
        Ok(again) => return JobError::RetryAfter(again.get_duration(), again),
        Err(error) => error,
    };
    match error.downcast::<DeferredError>() {
        Ok(_) => JobError::Snooze(Duration::ZERO),
        Err(error) => JobError::from_boxed(error),
    }
}

struct Handlers {
    run: AttemptService,
    lost: Option<AttemptService>,
}

/// One service in place of many, so that a layer around it holds what it holds for all of them.
#[derive(Clone)]
struct Dispatch {
    handlers: Arc<HashMap<&'static str, Handlers>>,
}

impl Dispatch {
    fn handler(&self, attempt: &Attempt) -> Result<AttemptService, JobError> {
        let run = run_of(attempt)?;
        let handlers = self.handlers.get(&*run.context.name);
        let handler = handlers.and_then(|of| if run.lost { of.lost.as_ref() } else { Some(&of.run) });
        handler.cloned().ok_or_else(|| JobError::discard(format!("job `{}` has no such handler", run.context.name)))
    }
}

impl Service<Attempt> for Dispatch {
    type Response = ();
    type Error = Source;
    type Future = BoxFuture<'static, Result<(), Source>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Source>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        match self.handler(&attempt) {
            Ok(handler) => Box::pin(handler.oneshot(attempt)),
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }
    }
}
