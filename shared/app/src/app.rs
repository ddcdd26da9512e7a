//! The application: what it does, and with what.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apalis_core::task::extensions::Extensions;
use axum::Router;
use futures::future::BoxFuture;
use gristmill_queue::{JobEvent, NewSchedule, Queue, Source, WorkerHealth};
use jiff::Timestamp;
use tower::{Layer, Service};

use crate::{
    Attempt, AttemptService, Client, CronOptions, Error, Handler, JobOptions, QueueOptions, Role, Settings,
    hook::Hook,
    job::{JobEntry, LayerFn, layer_fn},
};

/// An application: jobs and their handlers, what these need, queues, schedules. [`App::run`] runs it.
///
/// ```no_run
/// use gristmill::prelude::*;
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(queue = "mail", max_attempts = 5, timeout = "30s")]
/// struct Welcome { to: String }
///
/// #[derive(Serialize, Deserialize, Job)]
/// struct Digest {}
///
/// #[derive(Clone)]
/// struct Smtp;
///
/// async fn welcome(job: Welcome, Data(_smtp): Data<Smtp>) -> Result<(), JobError> {
///     println!("welcome, {}", job.to);
///     Ok(())
/// }
///
/// async fn digest(_: Digest, tick: Option<Tick>, client: Client) -> Result<(), gristmill::Error> {
///     println!("the digest of {tick:?}");
///     client.enqueue(Welcome { to: "ana@example.com".into() }).await?;
///     Ok(())
/// }
///
/// #[tokio::main]
/// async fn main() -> gristmill::Result {
///     App::from_env()
///         .data(Smtp)
///         .job(welcome)
///         .job(digest)
///         .cron("digest", "0 7 * * MON-FRI", |c| c.zone("America/Sao_Paulo").job(&Digest {}))
///         .queue("mail", |q| q.slots(16).concurrency(20).rate(50.0).per_key(2))
///         .run()
///         .await
/// }
/// ```
#[must_use = "it does nothing until it is run"]
pub struct App {
    pub(crate) settings: Result<Settings, Error>,
    /// Which the program has opened itself.
    pub(crate) queue: Option<Queue>,
    pub(crate) migrate: bool,
    pub(crate) data: Extensions,
    pub(crate) known: HashSet<TypeId>,
    pub(crate) jobs: Vec<JobEntry>,
    pub(crate) queues: BTreeMap<String, QueueOptions>,
    pub(crate) pools: BTreeMap<String, u32>,
    pub(crate) schedules: Vec<Result<NewSchedule, Error>>,
    pub(crate) removed_schedules: Vec<String>,
    pub(crate) periodic: Vec<Periodic>,
    pub(crate) health: WorkerHealth,
    pub(crate) layers: Vec<LayerFn>,
    pub(crate) hooks: Vec<Hook>,
    /// In a lock for nothing but this: a reference to an App may be held over an await.
    pub(crate) routes: Option<Mutex<Routes>>,
}

pub(crate) type Routes = Box<dyn FnOnce(Client) -> Result<Router, Error> + Send>;

/// What is done again and again beside the jobs.
pub(crate) struct Periodic {
    pub(crate) name: &'static str,
    pub(crate) period: Duration,
    pub(crate) work: Box<dyn Fn(Client) -> BoxFuture<'static, Result<(), Source>> + Send + Sync>,
}

impl App {
    /// Set by the environment: `DATABASE_URL`, `REDIS_URL` (without it Postgres is the broker, too) and what [`Settings`] lists.
    /// What is wrong with it is said when it starts.
    pub fn from_env() -> Self {
        Self::of(Settings::from_env())
    }

    /// Set by hand.
    pub fn new(settings: Settings) -> Self {
        Self::of(Ok(settings))
    }

    /// On a queue that the program has opened itself, with a pool of its own: for a program that also sets up its logs, answers for
    /// its health and waits for signals itself. Its `telemetry` and its `monitor_addr` are none, and it brings no tables up to date,
    /// unless said otherwise by [`App::with`] and [`App::migrate`]; what [`Settings`] says of the engines is not looked at. Start it,
    /// and end it by [`Running::until`](crate::Running::until).
    pub fn on(queue: Queue) -> Self {
        let settings = Settings { telemetry: None, monitor_addr: None, ..Settings::default() };
        Self { queue: Some(queue), migrate: false, ..Self::of(Ok(settings)) }
    }

    fn of(settings: Result<Settings, Error>) -> Self {
        Self {
            settings,
            queue: None,
            migrate: true,
            data: Extensions::new(),
            known: HashSet::new(),
            jobs: Vec::new(),
            queues: BTreeMap::new(),
            pools: BTreeMap::new(),
            schedules: Vec::new(),
            removed_schedules: Vec::new(),
            periodic: Vec::new(),
            health: WorkerHealth::default(),
            layers: Vec::new(),
            hooks: Vec::new(),
            routes: None,
        }
    }

    /// Changes a setting: `.with(|settings| settings.slots = 4)`.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        if let Ok(settings) = &mut self.settings {
            change(settings);
        }
        self
    }

    /// Which part of the application this process runs, whatever its environment and its arguments say.
    pub fn role(self, role: Role) -> Self {
        self.with(|settings| settings.role = role)
    }

    /// What payloads, results and steps are encoded by before Postgres and Redis have them, in place of what `GRISTMILL_PAYLOAD_KEYS`
    /// says. A queue of the program's own ([`App::on`]) has its own, [`QueueConfig::codec`](gristmill_queue::QueueConfig::codec): an
    /// application on it does not start with another one.
    ///
    /// ```no_run
    /// # #[cfg(feature = "encryption")]
    /// # fn app(keys: &str) -> Result<gristmill::App, gristmill::queue::KeyError> {
    /// use gristmill::{App, queue::Encryption};
    ///
    /// let keys: Encryption = keys.parse()?;
    /// Ok(App::from_env().codec(keys.only(["customer.import"])))
    /// # }
    /// ```
    pub fn codec(self, codec: impl gristmill_queue::Codec) -> Self {
        self.with(|settings| settings.codec = Some(Arc::new(codec)))
    }

    /// Whether it brings the queue's tables up to date when it starts. It does, unless told otherwise here.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Gives handlers a value: they take it as `Data<T>`, each attempt a clone of its own. One of each type; the last counts.
    pub fn data<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.known.insert(TypeId::of::<T>());
        self.data.insert(value);
        self
    }

    /// The handler of the job that is its first argument.
    pub fn job<A, H: Handler<A>>(self, handler: H) -> Self {
        self.job_with(handler, |options| options)
    }

    /// The same, with layers of its own, a timeout, or a handler for lost workers.
    pub fn job_with<A, H: Handler<A>>(
        mut self,
        handler: H,
        say: impl FnOnce(JobOptions<H::Job>) -> JobOptions<H::Job>,
    ) -> Self {
        self.jobs.push(JobEntry::new(handler, say(JobOptions::new())));
        self
    }

    /// Jobs by the clock: `expression` has five fields (minute hour day month weekday), or six with the second first, or is
    /// `@daily` and the like, or `@at` and a time. Every process of the application makes the schedule be like this when it starts; each tick
    /// fires once, however many run.
    pub fn cron(
        mut self,
        name: impl Into<String>,
        expression: impl Into<String>,
        say: impl FnOnce(CronOptions) -> CronOptions,
    ) -> Self {
        self.schedules.push(say(CronOptions::new(name.into(), expression.into())).into_schedule());
        self
    }

    /// A job at that time, once: `@at` of [`App::cron`]. Every process of the application says so when it starts; once the time has
    /// come, nothing more comes of it.
    pub fn at(self, name: impl Into<String>, time: Timestamp, say: impl FnOnce(CronOptions) -> CronOptions) -> Self {
        self.cron(name, format!("@at {time}"), say)
    }

    /// Removes a schedule that an earlier version of the application has made: the line that made it may be gone, the schedule is not.
    pub fn no_cron(mut self, name: impl Into<String>) -> Self {
        self.removed_schedules.push(name.into());
        self
    }

    /// Does something again and again in the processes that look after the queue (the roles `scheduler` and `all`), from their start
    /// on: in each of them, so it must be safe when done twice. What fails is logged, and done again the next time. What has to
    /// happen once, by the clock, is a job of [`App::cron`].
    ///
    /// ```no_run
    /// # use gristmill::prelude::*;
    /// # use std::time::Duration;
    /// # fn app(app: App) -> App {
    /// app.every("forgotten carts", Duration::from_secs(60), |client| async move {
    ///     sqlx::query("delete from carts where seen_at < now() - interval '1 day'").execute(client.queue()?.pool()).await?;
    ///     Ok::<_, gristmill::Error>(())
    /// })
    /// # }
    /// ```
    pub fn every<F, Fut, E>(mut self, name: &'static str, period: Duration, work: F) -> Self
    where
        F: Fn(Client) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Source> + Send + 'static,
    {
        let work = Box::new(move |client| -> BoxFuture<'static, _> {
            let work = work(client);
            Box::pin(async move { work.await.map_err(Into::into) })
        });
        self.periodic.push(Periodic { name, period, work });
        self
    }

    /// The handle by which the program itself asks whether the application's worker gets on; `/healthz` asks it by itself.
    pub fn health(mut self, health: WorkerHealth) -> Self {
        self.health = health;
        self
    }

    /// How many jobs of a queue run at a time here, and what all processes together are held to. The queues of the
    /// registered jobs need not be named.
    pub fn queue(mut self, name: impl Into<String>, say: impl FnOnce(QueueOptions) -> QueueOptions) -> Self {
        let name = name.into();
        let before = self.queues.remove(&name).unwrap_or_default();
        self.queues.insert(name, say(before));
        self
    }

    /// A pool of slots that jobs of several names take part of by [`JobOptions::uses`](crate::JobOptions::uses), in all queues and
    /// processes. It is made when the application starts; what an operator says of it later stays.
    ///
    /// ```no_run
    /// # use gristmill::prelude::*;
    /// # #[derive(Serialize, Deserialize, Job)] struct Train {}
    /// # #[derive(Serialize, Deserialize, Job)] struct Caption {}
    /// # async fn train(_: Train) {}
    /// # async fn caption(_: Caption) {}
    /// # fn app(app: App) -> App {
    /// // Two trainings at a time, or one and two captions, or four captions.
    /// app.slots("gpu", 4)
    ///     .job_with(train, |job| job.uses("gpu", 2))
    ///     .job_with(caption, |job| job.uses("gpu", 1).rate(20.0))
    /// # }
    /// ```
    pub fn slots(mut self, pool: impl Into<String>, slots: u32) -> Self {
        self.pools.insert(pool.into(), slots);
        self
    }

    /// Wraps every attempt of every job in a layer of `tower`; the first that is added is the outermost. What it holds (the
    /// permits of a concurrency limit, say) all jobs of the process share.
    ///
    /// The request is an [`Attempt`], a task of apalis, so apalis' layers fit, too. A service that is not `Clone` (tower's
    /// `RateLimit`) goes into a `tower::buffer::BufferLayer` first.
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

    /// Calls an async function with what happens to jobs in this process: enqueued, started, succeeded, failed. In order and one
    /// call after the other, beside the jobs; one that takes longer than ten seconds is not waited for.
    pub fn hook<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(JobEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.push(Arc::new(move |event| Box::pin(hook(event))));
        self
    }

    /// Web routes of the application, served on `GRISTMILL_ADDR` by the roles `web` and `all`. They get a [`Client`] for their
    /// state. Called again, it adds more.
    pub fn routes(self, routes: impl FnOnce(Client) -> Router + Send + 'static) -> Self {
        self.more_routes(|client| Ok(routes(client)))
    }

    /// The dashboard of the queue among the application's routes, below `base` (`/admin/jobs`, say). Only this machine is let
    /// in, unless `say` gives it another [`Access`](gristmill_board::Access).
    ///
    /// ```no_run
    /// # use gristmill::prelude::*;
    /// # fn app(app: App) -> App {
    /// app.board("/admin/jobs", |board| board.named("The shop"))
    /// # }
    /// ```
    #[cfg(feature = "board")]
    pub fn board(
        self,
        base: impl Into<String>,
        say: impl FnOnce(gristmill_board::Board) -> gristmill_board::Board + Send + 'static,
    ) -> Self {
        let base = base.into();
        self.more_routes(move |client| {
            let board = gristmill_board::Board::new(client.queue()?.clone()).base(base);
            Ok(say(board).router()?)
        })
    }

    /// Jobs for producers and workers in any language among the application's routes: `POST /v1/jobs`, `/v1/groups`,
    /// `/v1/work/…`. `access` says who may do what; the packages for Python and TypeScript send a key as
    /// `Authorization: Bearer …`.
    ///
    /// ```no_run
    /// # use gristmill::prelude::*;
    /// # fn app(app: App, key: &str) -> Result<App, gristmill::http::KeyError> {
    /// Ok(app.http(gristmill::http::Keys::new().worker(key)?))
    /// # }
    /// ```
    #[cfg(feature = "http")]
    pub fn http(self, access: impl gristmill_http::Access) -> Self {
        self.more_routes(move |client| Ok(gristmill_http::router(client.queue()?, access)))
    }

    fn more_routes(mut self, more: impl FnOnce(Client) -> Result<Router, Error> + Send + 'static) -> Self {
        let routes: Routes = match self.take_routes() {
            Some(before) => Box::new(move |client| Ok(before(client.clone())?.merge(more(client)?))),
            None => Box::new(more),
        };
        self.routes = Some(Mutex::new(routes));
        self
    }

    pub(crate) fn take_routes(&mut self) -> Option<Routes> {
        Some(self.routes.take()?.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at what can be known before anything is started: that no job has two handlers, and that each has what it needs.
    ///
    /// # Errors
    /// Returns [`Error::Twice`] or [`Error::MissingData`], by the order of the jobs.
    pub fn check(&self) -> Result<(), Error> {
        let mut names = HashSet::new();
        for job in &self.jobs {
            if let Some(name) = job.names().find(|name| !names.insert(*name)) {
                return Err(Error::Twice(name));
            }
            if let Some(need) = job.needs.iter().find(|need| !self.known.contains(&need.id)) {
                return Err(Error::MissingData { job: job.name, data: need.name });
            }
        }
        Ok(())
    }

    /// The queues that workers take jobs of, with their slots.
    pub(crate) fn lines(&self, slots: usize) -> BTreeMap<String, usize> {
        let named = self.queues.iter().map(|(name, options)| (name.clone(), options.slots));
        let used = self.jobs.iter().map(|job| (job.queue.to_owned(), None));
        let mut lines = BTreeMap::new();
        for (name, asked) in used.chain(named) {
            lines.insert(name, asked.unwrap_or(slots));
        }
        lines
    }

    /// How long the whole of a stopping process may take.
    pub(crate) const STOPPING: Duration = Duration::from_secs(10);
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs: Vec<_> = self.jobs.iter().map(|job| job.name).collect();
        f.debug_struct("App").field("settings", &self.settings).field("jobs", &jobs).finish_non_exhaustive()
    }
}
