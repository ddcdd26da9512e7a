//! An application that runs.

use std::{
    fmt, io,
    net::SocketAddr,
    ops::Deref,
    time::{Duration, Instant},
};

use axum::Router;
use gristmill_queue::{Cron, Queue, QueueConfig, Sweeper, Worker, WorkerHealth, redis::fitness};
use gristmill_service::{Health, Server, shutdown};
use gristmill_telemetry::TelemetryError;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::level_filters::LevelFilter;

use crate::{App, Client, Error, Settings, app::Periodic, client::Mode, hook::Hooks, job::Runner, maintenance};

impl App {
    /// Runs the application until a signal asks it to stop (SIGINT, SIGTERM, SIGHUP; a second one ends it at once), or a part
    /// of it cannot go on. Running jobs then have the grace period to end, and what is left goes to other workers.
    ///
    /// # Errors
    /// Returns what [`App::start`] returns, and why a part of it has ended.
    pub async fn run(self) -> Result<(), Error> {
        let running = self.start().await?;
        running.stopped().await
    }

    /// Starts the application in the background: the role says what of it. Enqueue by the answer, and await [`Running::stopped`].
    ///
    /// # Errors
    /// Returns an error if a handler lacks what it needs, a setting cannot be read, an engine cannot be reached, a schedule or a limit
    /// cannot be set, or a port is taken. Nothing has been claimed then.
    pub async fn start(mut self) -> Result<Running, Error> {
        self.check()?;
        let settings = self.settings()?;
        if let Some(telemetry) = &settings.telemetry {
            let keeps = settings.role.works() && settings.job_logs != LevelFilter::OFF;
            match telemetry.init_with(keeps.then(|| gristmill_queue::logs::layer(settings.job_logs))) {
                // The program has set up its own.
                Ok(()) | Err(TelemetryError::Twice(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.jobs.is_empty() && settings.role.works() && self.routes.is_none() {
            return Err(Error::Nothing("the App has no jobs: write `.job(handler)`, or start it as a scheduler"));
        }
        if settings.role == crate::Role::Web && self.routes.is_none() {
            return Err(Error::Nothing("the App has no routes to serve as `web`: write `.routes(|client| …)`"));
        }
        let queue = self.open(&settings).await?;
        let (hooks, hooked) = Hooks::start(std::mem::take(&mut self.hooks));
        let client = Client::new(Mode::Engines(queue.clone()), hooks);
        self.arrange(&queue, settings.database_timeout).await?;
        let monitor = match settings.monitor_addr {
            Some(addr) => Some(Server::bind(addr).await?),
            None => None,
        };
        let monitor_addr = monitor.as_ref().map(Server::addr);
        let web = match self.take_routes().filter(|_| settings.role.serves()) {
            Some(routes) => {
                let router = routes(client.clone())?;
                Some((bind(settings.addr).await?, router))
            }
            None => None,
        };
        let addr = web.as_ref().and_then(|(listener, _)| listener.local_addr().ok());

        let (stop, drained) = (CancellationToken::new(), CancellationToken::new());
        let health = self.health.clone();
        let mut parts = Parts { tasks: JoinSet::new(), stop: stop.clone() };
        if settings.role.works() && !self.jobs.is_empty() {
            let worker = self.worker(&settings, &queue, &client);
            let token = stop.clone();
            parts.add("worker", async move { Ok(worker.run(token).await?) });
        }
        if settings.role.looks_after() {
            parts.add("sweep", done(Sweeper::new(&queue).run(stop.clone())));
            parts.add("clock of the schedules", done(Cron::new(&queue).run(stop.clone())));
            let (gauged, token) = (queue.clone(), stop.clone());
            parts.add("gauges", done(async move { gauged.keep_gauges(token).await }));
            parts.add("pruning", done(maintenance::prune(queue.clone(), settings.clone(), stop.clone())));
            for Periodic { name, period, work } in std::mem::take(&mut self.periodic) {
                let (client, token) = (client.clone(), stop.clone());
                parts.add(
                    name,
                    done(async move { maintenance::every(name, period, token, || work(client.clone())).await }),
                );
            }
        }
        if let Some((listener, router)) = web {
            parts.add("web server", serve(listener, router, stop.clone()));
        }
        parts.add("wait for the end", done(stop.clone().cancelled_owned()));
        let health = health_of(settings.role.name(), &queue, health);
        let monitoring = monitor.map(|monitor| tokio::spawn(monitor.serve(health, drained.clone())));
        tracing::info!(role = settings.role.name(), monitor = ?monitor_addr, jobs = self.jobs.len(), "the application runs");
        let ended = AbortOnDropHandle::new(tokio::spawn(async move {
            let result = parts.ended().await;
            drained.cancel();
            if let Some(monitoring) = monitoring {
                let _ = tokio::time::timeout(App::STOPPING, monitoring).await;
            }
            result
        }));
        let has_telemetry = settings.telemetry.is_some();
        Ok(Running { client: Some(client), stop, ended, hooked, has_telemetry, monitor_addr, addr })
    }

    /// Connects without running anything: for a program that only enqueues.
    ///
    /// # Errors
    /// Returns an error if a setting cannot be read, or an engine cannot be reached.
    pub async fn connect(mut self) -> Result<Client, Error> {
        let settings = self.settings()?;
        let queue = self.open(&settings).await?;
        let (hooks, _) = Hooks::start(std::mem::take(&mut self.hooks));
        Ok(Client::new(Mode::Engines(queue), hooks))
    }

    /// Taken out: they are said once.
    pub(crate) fn settings(&mut self) -> Result<Settings, Error> {
        std::mem::replace(&mut self.settings, Ok(Settings::default()))
    }

    /// The program's own queue, or the one of these settings, with its tables.
    async fn open(&self, settings: &Settings) -> Result<Queue, Error> {
        if let Some(queue) = &self.queue {
            if settings.codec.is_some() {
                return Err(Error::CodecOfQueue);
            }
            self.prepare(queue.pool(), &Settings { schema: queue.schema(), ..settings.clone() }).await?;
            return Ok(queue.clone());
        }
        let pool = connect(settings).await?;
        self.prepare(&pool, settings).await?;
        queue(pool, settings).await
    }

    /// Sees to the queue's tables.
    pub(crate) async fn prepare(&self, pool: &PgPool, settings: &Settings) -> Result<(), Error> {
        if self.migrate {
            return Ok(gristmill_queue::migrate(pool, settings.schema).await?);
        }
        match gristmill_queue::pending_migrations(pool, settings.schema).await?.pending.len() {
            0 => Ok(()),
            pending => Err(Error::Pending(pending)),
        }
    }

    /// The worker of an application on a queue of the program's own ([`App::on`]), not running: for [`Queue::drain`], and for a program
    /// that runs nothing else of it.
    ///
    /// # Errors
    /// Returns an error if a handler lacks what it needs, or there is no such queue.
    pub fn into_worker(mut self) -> Result<Worker, Error> {
        self.check()?;
        let settings = self.settings()?;
        let queue = self
            .queue
            .clone()
            .ok_or(Error::Nothing("only an App on a queue has a worker before it starts: write `App::on(queue)`"))?;
        let (hooks, _) = Hooks::start(std::mem::take(&mut self.hooks));
        let client = Client::new(Mode::Engines(queue.clone()), hooks);
        Ok(self.worker(&settings, &queue, &client))
    }

    /// What runs the jobs.
    pub(crate) fn worker(&self, settings: &Settings, queue: &Queue, client: &Client) -> Worker {
        let runner = Runner::new(&self.jobs, &self.layers, self.data.clone(), client.clone());
        let hooks = client.hooks().clone();
        let mut builder = Worker::builder(queue).label(&settings.label).health(self.health.clone()).with_builtin_jobs();
        if hooks.is_there() {
            builder = builder.observe(move |event| hooks.tell(|| event));
        }
        for (name, slots) in self.lines(settings.slots) {
            builder = builder.queue(name, slots);
        }
        self.jobs.iter().fold(builder, |builder, job| job.register(builder, &runner)).build()
    }
}

pub(crate) async fn queue(pool: PgPool, settings: &Settings) -> Result<Queue, Error> {
    let config = match &settings.redis_url {
        Some(url) => {
            fitness::refuse_unfit(url).await?;
            QueueConfig::new(url)
        }
        None => QueueConfig::postgres(),
    };
    let config = QueueConfig {
        namespace: settings.namespace.clone(),
        schema: settings.schema,
        codec: settings.codec.clone(),
        grace: settings.grace,
        lease: settings.lease,
        ..config
    };
    Ok(Queue::connect(pool, config).await?)
}

/// Waits for a server that is starting.
async fn connect(settings: &Settings) -> Result<PgPool, Error> {
    let url = settings.database_url.as_ref().ok_or(Error::NoDatabase)?;
    let options: PgConnectOptions = url.parse().map_err(Error::Database)?;
    let pool = PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, of| Box::pin(gristmill_queue::test_idle_connection(connection, of)))
        .max_connections(settings.database_pool)
        .acquire_timeout(settings.database_timeout)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Not every platform's server can look whether its client is still there; it is no reason to do without it.
                let _ = sqlx::query("set client_connection_check_interval = '2s'").execute(&mut *connection).await;
                gristmill_queue::tune_connection(connection).await
            })
        })
        .connect_lazy_with(options.application_name(&settings.label));
    let deadline = Instant::now() + settings.database_timeout;
    let mut pause = Duration::from_millis(50);
    loop {
        let error = match pool.acquire().await {
            Ok(_) => return Ok(pool),
            Err(error) => error,
        };
        if !gristmill_queue::is_not_up(&error) || Instant::now() + pause > deadline {
            return Err(Error::Database(error));
        }
        tracing::warn!(%error, "waiting for Postgres");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn health_of(role: &'static str, queue: &Queue, worker: WorkerHealth) -> Health {
    let (ledger, broker) = (queue.clone(), queue.clone());
    Health::of(role)
        .with_life(move || worker.unhealthy_reason())
        .with_check("postgres", move || {
            let pool = ledger.pool().clone();
            async move { pool.acquire().await.map(drop).map_err(|error| not_ready(&error)) }
        })
        .with_check("broker", move || {
            let broker = broker.clone();
            async move { broker.workers().await.map(drop).map_err(|error| not_ready(&error)) }
        })
}

/// What is wrong in detail is for the log: the page is open to everybody who reaches the port.
fn not_ready(error: &(dyn std::error::Error + 'static)) -> String {
    tracing::warn!(error, "not ready");
    "does not answer".to_owned()
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, Error> {
    let doing = || format!("cannot listen on {addr} for the application's routes: set GRISTMILL_ADDR");
    TcpListener::bind(addr).await.map_err(|source| Error::Io { doing: doing(), source })
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> Result<(), Error> {
    // With who connects: a dashboard lets in by it.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let hurried = async {
        stop.cancelled().await;
        tokio::time::sleep(App::STOPPING).await;
    };
    tokio::select! {
        served = served => served.map_err(|source| Error::Io { doing: "cannot serve the application's routes".into(), source }),
        () = hurried => Ok(()),
    }
}

async fn done(work: impl Future<Output = ()>) -> Result<(), Error> {
    work.await;
    Ok(())
}

/// What runs at the same time, until one of them ends or all are to.
struct Parts {
    tasks: JoinSet<(&'static str, Result<(), Error>)>,
    stop: CancellationToken,
}

impl Parts {
    fn add(&mut self, name: &'static str, work: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.tasks.spawn(async move { (name, work.await) });
    }

    /// The end of all of them, and of the first that ended too early the reason.
    async fn ended(mut self) -> Result<(), Error> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let early = !self.stop.is_cancelled();
            let outcome = match ended {
                Ok((name, Ok(()))) if early => Err(Error::Ended(name)),
                Ok((_, outcome)) => outcome,
                Err(error) => {
                    Err(Error::Io { doing: "a part of the application ended".into(), source: io::Error::other(error) })
                }
            };
            if outcome.is_err() && result.is_ok() {
                result = outcome;
            }
            self.stop.cancel();
        }
        result
    }
}

/// An application that runs in the background, and the [`Client`] that it gives. Dropped, it ends at once, and what it ran goes
/// to other workers; [`Running::stop`] lets it end what it runs.
pub struct Running {
    client: Option<Client>,
    stop: CancellationToken,
    ended: AbortOnDropHandle<Result<(), Error>>,
    hooked: Option<JoinHandle<()>>,
    /// Which this application has set up.
    has_telemetry: bool,
    monitor_addr: Option<SocketAddr>,
    addr: Option<SocketAddr>,
}

impl Running {
    /// Where `/metrics`, `/healthz` and `/readyz` are, if it serves them.
    #[must_use]
    pub fn monitor_addr(&self) -> Option<SocketAddr> {
        self.monitor_addr
    }

    /// Where the application's routes are, if it serves them.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Waits until a signal asks it to stop, or a part of it cannot go on; then it stops as [`Running::stop`] does.
    ///
    /// # Errors
    /// Returns why it could not go on.
    pub async fn stopped(self) -> Result<(), Error> {
        let signal =
            shutdown::on_signal().map_err(|source| Error::Io { doing: "cannot wait for signals".into(), source })?;
        self.until(signal).await
    }

    /// The same, and in place of a signal the program says when it is to stop.
    ///
    /// # Errors
    /// Returns why it could not go on.
    pub async fn until(self, shutdown: CancellationToken) -> Result<(), Error> {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
        self.stop().await
    }

    /// Stops it: nothing more is claimed, running jobs have the grace period to end, the rest goes to other workers.
    ///
    /// # Errors
    /// Returns why it could not go on, when it had ended before.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        let ended = (&mut self.ended).await;
        // The last events: they end when nobody can send any more, which clients elsewhere may.
        self.client = None;
        if let Some(hooked) = self.hooked.take() {
            let _ = tokio::time::timeout(HOOKS_END, hooked).await;
        }
        if self.has_telemetry {
            gristmill_telemetry::finish().await;
        }
        ended.map_err(|error| Error::Io { doing: "the application ended".into(), source: io::Error::other(error) })?
    }
}

/// How long the hooks have for the last events.
const HOOKS_END: Duration = Duration::from_secs(2);

impl Deref for Running {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is taken away only by the end")
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("monitor_addr", &self.monitor_addr)
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}
