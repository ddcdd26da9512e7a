//! An application on private engines, for tests.

use std::{fmt, ops::Deref, time::Duration};

use gristmill_engines::{Clock, Engines};
use gristmill_queue::{Cron, DrainReport, Queue, TickCounts, Worker};
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{App, Client, Error, Settings, client::Mode, hook::Hooks, run};

impl App {
    /// The application on a private Postgres and a private Redis, which all tests of a program share, with a database and a
    /// namespace of its own, and a clock that the test moves. The distribution's `postgres`, `initdb` and `redis-server` must
    /// be installed. Nothing runs by itself: enqueue, and [`TestApp::drain`].
    ///
    /// ```no_run
    /// # use gristmill::prelude::*;
    /// # #[derive(Serialize, Deserialize, Job)] struct Hello { name: String }
    /// # async fn hello(_: Hello) {}
    /// #[tokio::test]
    /// async fn a_hello_is_said() {
    ///     let app = App::from_env().job(hello).test().await.unwrap();
    ///     app.enqueue(Hello { name: "world".into() }).await.unwrap();
    ///     assert_eq!(app.drain().await.unwrap().completed, 1);
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns an error if a handler lacks what it needs, the engines do not start, or a schedule or limit cannot be set.
    pub async fn test(mut self) -> Result<TestApp, Error> {
        self.check()?;
        let engines = engines().await?;
        let name = format!("t{}", Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(engines.database_url().expose_secret()).await?;
        sqlx::query(&format!("create database \"{name}\"")).execute(&mut admin).await?;
        admin.close().await?;
        let database_url = engines.database_url_of(&name).expose_secret().to_owned();
        let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(10));
        let tuned = pool.after_connect(|connection, _| Box::pin(gristmill_queue::tune_connection(connection)));
        let pool = tuned.connect(&database_url).await?;
        let settings = Settings {
            database_url: Some(database_url),
            redis_url: Some(engines.redis_url().expose_secret().to_owned()),
            namespace: name[..13].to_owned(),
            ..self.settings()?
        };
        let clock = Clock::install(&pool).await;
        self.prepare(&pool, &settings).await?;
        let queue = run::queue(pool, &settings).await?;
        let (hooks, _) = Hooks::start(std::mem::take(&mut self.hooks));
        let client = Client::new(Mode::Engines(queue.clone()), hooks);
        self.arrange(&queue, settings.database_timeout).await?;
        let worker = self.worker(&settings, &queue, &client);
        Ok(TestApp { client, queue, worker, clock, settings })
    }
}

/// Started once for a program. They end with it, however it ends.
async fn engines() -> Result<&'static Engines, Error> {
    static ENGINES: OnceCell<Engines> = OnceCell::const_new();
    ENGINES.get_or_try_init(|| async { Ok(Engines::temporary().await?) }).await
}

/// An application on private engines: see [`App::test`]. Enqueue by it.
pub struct TestApp {
    client: Client,
    queue: Queue,
    worker: Worker,
    clock: Clock,
    settings: Settings,
}

impl TestApp {
    /// Runs everything that is due, and what becomes due by that, until nothing is.
    ///
    /// # Errors
    /// Returns an error if no job ends for a minute while some are due, or an engine fails.
    pub async fn drain(&self) -> Result<DrainReport, Error> {
        Ok(self.queue.drain(&self.worker, Duration::from_secs(60)).await?)
    }

    /// Moves the clock forward, and fires the schedules that are due by then. [`TestApp::drain`] runs their jobs, and what was
    /// delayed.
    ///
    /// # Errors
    /// Returns an error if Postgres fails.
    pub async fn advance(&self, by: Duration) -> Result<TickCounts, Error> {
        self.clock.advance(by).await;
        Ok(Cron::new(&self.queue).fire().await?)
    }

    /// The clock of the database, to be set, too.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The pool on the test's database: for the application's own tables.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.queue.pool()
    }

    /// The settings of the engines: for another application, or another process, beside this one.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp").field("namespace", &self.settings.namespace).finish_non_exhaustive()
    }
}
