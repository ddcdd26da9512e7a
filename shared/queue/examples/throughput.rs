//! How many no-op jobs a second go through the ledger, and how soon an idle queue starts one.
//!
//! `cargo run --release -p gristmill-queue --example throughput -- DATABASE_URL REDIS_URL [JOBS] [WORKERS] [CONCURRENCY]`
//!
//! The database must be migrated. `private` instead of the two URLs starts durable engines of its own.

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use gristmill_platform::{engines::Engines, testing};
use gristmill_queue::{Context, Job, JobError, Options, Queue, QueueConfig, Sweeper, Worker};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct Noop {
    n: u64,
}

impl Job for Noop {
    const NAME: &'static str = "noop";
}

#[derive(Serialize, Deserialize)]
struct Ping {
    at: u64,
}

impl Job for Ping {
    const NAME: &'static str = "ping";
}

type Waits = Arc<Mutex<Vec<Duration>>>;
type Error = Box<dyn std::error::Error>;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some("private") => private(&args[1..]).await,
        Some(database) if args.len() > 1 => measure(database, &args[1], &args[2..]).await,
        _ => Err("usage: throughput (private | DATABASE_URL REDIS_URL) [JOBS] [WORKERS] [CONCURRENCY]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn count(done: Arc<AtomicU64>, _: Context, _: Noop) -> Result<(), JobError> {
    done.fetch_add(1, Relaxed);
    Ok(())
}

/// Notes how long the ping took from its enqueueing to here.
async fn note_wait((epoch, waits): (Instant, Waits), _: Context, ping: Ping) -> Result<(), JobError> {
    let wait = epoch.elapsed().saturating_sub(Duration::from_nanos(ping.at));
    if let Ok(mut waits) = waits.lock() {
        waits.push(wait);
    }
    Ok(())
}

/// On durable engines (fsync, append-only file), as `gristmill up` starts them.
async fn private(args: &[String]) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let engines = Engines::start(folder.path()).await?;
    let stack = testing::stack_on(&engines).await;
    let result = measure(&stack.database_url, &stack.redis_url, args).await;
    engines.stop().await?;
    result
}

async fn measure(database: &str, redis: &str, args: &[String]) -> Result<(), Error> {
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |arg| arg.parse());
    let (jobs, workers, concurrency) = (number(0, 100_000)?, number(1, 2)?, number(2, 256)?);
    let pool = PgPoolOptions::new().max_connections(16).connect(database).await?;
    let namespace = format!("throughput-{}", Uuid::new_v4().simple());
    let queue = Queue::connect(pool, QueueConfig { namespace, ..QueueConfig::new(redis) }).await?;

    let done = Arc::new(AtomicU64::new(0));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let epoch = Instant::now();
    let stop = CancellationToken::new();
    let running: Vec<_> = (0..workers)
        .map(|_| {
            let worker = Worker::builder(&queue)
                .queue("default", usize::try_from(concurrency).unwrap_or(256))
                .register_with(&done, count)
                .register_with(&(epoch, Arc::clone(&waits)), note_wait)
                .build();
            let stop = stop.clone();
            tokio::spawn(async move { worker.run(stop).await })
        })
        .collect();
    // More than Redis' window may wait at a time: the sweep refills it, as a scheduler does.
    let sweep = tokio::spawn(Sweeper::new(&queue).run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut commits = Vec::new();
    for _ in 0..500 {
        let since = Instant::now();
        let mut tx = queue.pool().begin().await?;
        let at = u64::try_from(epoch.elapsed().as_nanos())?;
        let enqueued = queue.enqueue(&mut tx, &Ping { at }, &Options::default()).await?;
        tx.commit().await?;
        commits.push(since.elapsed());
        queue.push(enqueued).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    if let Ok(mut waits) = waits.lock() {
        for (what, times) in
            [("enqueue (insert, commit, push) to start", &mut *waits), ("insert and commit of it", &mut commits)]
        {
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
            println!("idle: {what}: p50 {:?}, p99 {:?}, of {}", at(50), at(99), times.len());
        }
    }

    let started = Instant::now();
    let mut sent = 0;
    while sent < jobs {
        let batch: Vec<Noop> = (sent..(sent + 1_000).min(jobs)).map(|n| Noop { n }).collect();
        sent += batch.len() as u64;
        let mut tx = queue.pool().begin().await?;
        let enqueued = queue.enqueue_all(&mut tx, &batch, &Options::default()).await?;
        tx.commit().await?;
        queue.push(enqueued).await;
    }
    let enqueued = started.elapsed();
    loop {
        if done.load(Relaxed) >= jobs {
            let left: i64 = sqlx::query_scalar("select count(*) from jobs where state = 'available'")
                .fetch_one(queue.pool())
                .await?;
            if left == 0 {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let elapsed = started.elapsed();
    let rate = jobs as f64 / elapsed.as_secs_f64();
    println!(
        "{jobs} no-op jobs, {workers} workers of {concurrency}: {rate:.0}/s end to end ({:.2} s; enqueued after {:.2} s)",
        elapsed.as_secs_f64(),
        enqueued.as_secs_f64()
    );
    stop.cancel();
    for worker in running {
        worker.await??;
    }
    sweep.await?;
    Ok(())
}
