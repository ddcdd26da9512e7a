//! No-op jobs on durable engines, with few and with millions of them waiting; and how soon an idle queue starts one, beside what
//! the disk takes to keep a page.

use std::{
    fs::OpenOptions,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use gristmill_engines::Engines;
use gristmill_queue::{BrokerConfig, Context, Job, JobError, Options, Queue, QueueConfig, Schema, Sweeper, Worker};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    figures::{Goal, middle, millis, percentile, thousands},
    report::Report,
};

const WORKERS: usize = 2;
const CONCURRENCY: usize = 256;
/// Between these two numbers of jobs the clock runs: workers have started, and none waits for the last ones.
const FROM: u64 = 20_000;
const TO: u64 = 220_000;
const FEW: u64 = 240_000;
const PINGS: usize = 500;
const PAGE: [u8; 8192] = [7; 8192];
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);

#[derive(Serialize, Deserialize)]
struct Noop {
    n: u64,
}

impl Job for Noop {
    const NAME: &'static str = "noop";
}

/// Sent so many nanoseconds after the start of the scenario.
#[derive(Serialize, Deserialize)]
struct Ping {
    at: u64,
}

impl Job for Ping {
    const NAME: &'static str = "ping";
}

type Waits = Arc<Mutex<Vec<Duration>>>;

/// A queue on engines of its own.
struct Rig {
    queue: Queue,
    done: Arc<AtomicU64>,
    waits: Waits,
    epoch: Instant,
}

/// Measures both, with Redis as the broker.
pub(crate) async fn measure(folder: &Path, runs: usize, backlog: f64, report: &mut Report) -> anyhow::Result<()> {
    Engines::delete(folder)?;
    let engines = Engines::start(folder).await?;
    let rig = Rig::new(&engines).await?;
    rig.idle(folder, report).await?;
    let mut rates = vec![];
    for _ in 0..runs {
        rig.fill(FEW).await?;
        rates.push(rig.drain(true).await?);
    }
    let few = middle(rates);
    let goal = Goal::AtLeast(40_000.0);
    let what = format!("no-op jobs, durable, {} waiting", thousands(FEW as f64));
    report.figure(&what, format!("{}/s", thousands(few)), few, "/s", goal);
    if backlog > 0.0 {
        let jobs = (backlog * 1e6) as u64;
        let since = Instant::now();
        rig.fill(jobs).await?;
        let enqueued = thousands(jobs as f64 / since.elapsed().as_secs_f64());
        let many = rig.drain(false).await?;
        let what = format!("the same, {} waiting", thousands(jobs as f64));
        report.figure(&what, format!("{}/s", thousands(many)), many, "/s", goal);
        let compared = format!("{:.2} × the rate with few", many / few);
        report.row("– enqueued by SQL, ten thousand in a transaction", format!("{enqueued}/s"), compared, "1 ×");
    }
    engines.stop().await?;
    Engines::delete(folder)?;
    Ok(())
}

impl Rig {
    async fn new(engines: &Engines) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .after_connect(|connection, _| Box::pin(gristmill_queue::tune_connection(connection)))
            .connect(engines.local_database_url().expose_secret())
            .await?;
        gristmill_queue::migrate(&pool, Schema::default()).await?;
        let broker = BrokerConfig::Redis { url: engines.redis_url().expose_secret().to_owned() };
        let queue =
            Queue::connect(pool, QueueConfig { namespace: "bench".to_owned(), ..QueueConfig::on(broker) }).await?;
        Ok(Self { queue, done: Arc::default(), waits: Arc::default(), epoch: Instant::now() })
    }

    /// Enqueues no-op jobs by SQL while no worker runs.
    async fn fill(&self, jobs: u64) -> anyhow::Result<()> {
        const AT_ONCE: u64 = 10_000;
        let sql = "select count(*) from gristmill.enqueue_many((
            select jsonb_agg(jsonb_build_object('name', 'noop', 'payload', jsonb_build_object('n', n)))
            from generate_series($1::bigint, $2::bigint) n))";
        for start in (0..jobs).step_by(AT_ONCE as usize) {
            let end = (start + AT_ONCE).min(jobs) - 1;
            sqlx::query(sql).bind(i64::try_from(start)?).bind(i64::try_from(end)?).execute(self.queue.pool()).await?;
        }
        Ok(())
    }

    /// Starts the workers on what waits, and returns how many they did a second; all of it is done if `whole`.
    async fn drain(&self, whole: bool) -> anyhow::Result<f64> {
        self.done.store(0, Relaxed);
        let working = self.work();
        self.done_are(FROM).await?;
        let (since, from) = (Instant::now(), self.done.load(Relaxed));
        self.done_are(TO).await?;
        let rate = (self.done.load(Relaxed) - from) as f64 / since.elapsed().as_secs_f64();
        if whole {
            self.done_are(FEW).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        working.stop().await?;
        Ok(rate)
    }

    async fn done_are(&self, jobs: u64) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.done.load(Relaxed) < jobs {
            ensure!(since.elapsed() < GIVE_UP_AFTER, "{} of {jobs} jobs are done", self.done.load(Relaxed));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    fn work(&self) -> Working {
        let stop = CancellationToken::new();
        let workers = (0..WORKERS).map(|_| {
            let worker = Worker::builder(&self.queue)
                .queue("default", CONCURRENCY)
                .register_with(&self.done, count)
                .register_with(&(self.epoch, Arc::clone(&self.waits)), note_wait)
                .build();
            let stop = stop.clone();
            tokio::spawn(async move { worker.run(stop).await.context("a worker stopped") })
        });
        let workers = workers.collect();
        // More than the broker's window may wait at a time: the sweep refills it, as a scheduler does.
        let sweep = tokio::spawn(Sweeper::new(&self.queue).run(stop.clone()));
        Working { stop, workers, sweep }
    }

    /// One job after another to idle workers, and before each a page to the disk.
    async fn idle(&self, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
        let working = self.work();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut disk = Disk::new(&folder.join("fsync"))?;
        let mut kept = Vec::new();
        for _ in 0..PINGS {
            kept.push(disk.keep()?);
            tokio::time::sleep(Duration::from_millis(5)).await;
            let mut tx = self.queue.pool().begin().await?;
            let at = u64::try_from(self.epoch.elapsed().as_nanos())?;
            let enqueued = self.queue.enqueue(&mut tx, &Ping { at }, &Options::default()).await?;
            tx.commit().await?;
            self.queue.push(enqueued).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        working.stop().await?;
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("no thread panics with it"));
        ensure!(waits.len() == PINGS, "{} of {PINGS} jobs were started", waits.len());
        let (wait, keep) = (percentile(&mut waits, 99), percentile(&mut kept, 99));
        let both = |p99, half| format!("p50 {}, p99 {}", millis(half), millis(p99));
        let disk = both(keep, percentile(&mut kept, 50));
        report.row("a page of 8 KiB to the disk (`fdatasync`), in turns with it", disk, String::new(), "");
        let ratio = wait.as_secs_f64() / keep.as_secs_f64();
        let started = both(wait, percentile(&mut waits, 50));
        report.against("idle: enqueue → start", started, ratio, "the disk's, p99", Goal::AtMost(2.0));
        Ok(())
    }
}

/// Workers that run.
struct Working {
    stop: CancellationToken,
    workers: Vec<JoinHandle<anyhow::Result<()>>>,
    sweep: JoinHandle<()>,
}

impl Working {
    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for worker in self.workers {
            worker.await??;
        }
        Ok(self.sweep.await?)
    }
}

async fn count(done: Arc<AtomicU64>, _: Context, _: Noop) -> Result<(), JobError> {
    done.fetch_add(1, Relaxed);
    Ok(())
}

async fn note_wait((epoch, waits): (Instant, Waits), _: Context, ping: Ping) -> Result<(), JobError> {
    let wait = epoch.elapsed().saturating_sub(Duration::from_nanos(ping.at));
    if let Ok(mut waits) = waits.lock() {
        waits.push(wait);
    }
    Ok(())
}

/// A file whose pages are there already, as those of a segment of WAL are.
struct Disk {
    file: std::fs::File,
    next: u64,
}

impl Disk {
    const PAGES: u64 = 1_024;

    fn new(path: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        for _ in 0..Self::PAGES {
            file.write_all(&PAGE)?;
        }
        file.sync_all()?;
        Ok(Self { file, next: 0 })
    }

    /// How long it takes until a page is on the disk.
    fn keep(&mut self) -> anyhow::Result<Duration> {
        let since = Instant::now();
        self.file.seek(SeekFrom::Start(self.next % Self::PAGES * PAGE.len() as u64))?;
        self.file.write_all(&PAGE)?;
        self.file.sync_data()?;
        self.next += 1;
        Ok(since.elapsed())
    }
}
