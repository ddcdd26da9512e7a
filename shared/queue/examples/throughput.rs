//! How many no-op jobs a second go through the ledger, and how soon an idle queue starts one; jobs by SQL, and a join that reads
//! results.
//!
//! `cargo run --release -p gristmill-queue --example throughput -- DATABASE_URL (REDIS_URL|postgres) [JOBS] [WORKERS] [CONCURRENCY]`
//!
//! `postgres` is Postgres alone, without a Redis. The database must be migrated. `private (redis|postgres)` instead of the two
//! starts durable engines of its own.

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use gristmill_platform::{engines::Engines, testing};
use gristmill_queue::{
    BrokerConfig, Context, GroupPolicy, Job, JobError, JobSpec, NewGroup, Options, Queue, QueueConfig, Sweeper, Worker,
};
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
        Some("private") if args.len() > 1 => private(&args[1], &args[2..]).await,
        Some("private") => private("redis", &[]).await,
        Some(database) if args.len() > 1 => measure(database, broker(&args[1]), &args[2..]).await,
        _ => Err("usage: throughput (private (redis|postgres) | DATABASE_URL (REDIS_URL|postgres)) [JOBS] [WORKERS] [CONCURRENCY]".into()),
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
async fn private(broker: &str, args: &[String]) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let engines = Engines::start(folder.path()).await?;
    let stack = testing::stack_on(&engines).await;
    let broker = BrokerConfig::from_settings(Some(broker), Some(&stack.redis_url))?;
    let result = measure(&stack.database_url, broker, args).await;
    engines.stop().await?;
    result
}

fn broker(name: &str) -> BrokerConfig {
    if name == "postgres" { BrokerConfig::Postgres } else { BrokerConfig::Redis { url: name.to_owned() } }
}

async fn measure(database: &str, broker: BrokerConfig, args: &[String]) -> Result<(), Error> {
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |arg| arg.parse());
    let (jobs, workers, concurrency) = (number(0, 100_000)?, number(1, 2)?, number(2, 256)?);
    let name = broker.name();
    let pool = PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, of| Box::pin(gristmill_queue::test_idle_connection(connection, of)))
        .max_connections(16)
        .after_connect(|connection, _| Box::pin(gristmill_queue::tune_connection(connection)))
        .connect(database)
        .await?;
    let namespace = format!("throughput-{}", Uuid::new_v4().simple());
    let queue = Queue::connect(pool, QueueConfig { namespace, ..QueueConfig::on(broker) }).await?;

    let done = Arc::new(AtomicU64::new(0));
    let waits: Waits = Arc::default();
    let joins = Joins::default();
    let epoch = Instant::now();
    let stop = CancellationToken::new();
    let running: Vec<_> = (0..workers)
        .map(|_| {
            let worker = Worker::builder(&queue)
                .queue("default", usize::try_from(concurrency).unwrap_or(256))
                .register_with(&done, count)
                .register_with(&(epoch, Arc::clone(&waits)), note_wait)
                .register(member)
                .register_with(&joins, join)
                .build();
            let stop = stop.clone();
            tokio::spawn(async move { worker.run(stop).await })
        })
        .collect();
    // More than the broker's window may wait at a time: the sweep refills it, as a scheduler does.
    let sweep = tokio::spawn(Sweeper::new(&queue).run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;

    idle(&queue, epoch, &waits).await?;
    idle_by_sql(&queue, epoch, &waits).await?;
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
    all_done(&queue, &done, jobs).await?;
    let elapsed = started.elapsed();
    let rate = jobs as f64 / elapsed.as_secs_f64();
    println!(
        "{name}: {jobs} no-op jobs, {workers} workers of {concurrency}: {rate:.0}/s end to end ({:.2} s; enqueued after {:.2} s)",
        elapsed.as_secs_f64(),
        enqueued.as_secs_f64()
    );
    by_sql(&queue, &done, jobs).await?;
    joined(&queue, &joins, 10_000).await?;
    stop.cancel();
    for worker in running {
        worker.await??;
    }
    sweep.await?;
    Ok(())
}

/// How soon an idle queue starts a job.
async fn idle(queue: &Queue, epoch: Instant, waits: &Waits) -> Result<(), Error> {
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
    say("enqueue (insert, commit, push) to start", &mut taken(waits).await);
    say("insert and commit of it", &mut commits);
    Ok(())
}

/// The same of a job that is enqueued by SQL, which only its commit tells of.
async fn idle_by_sql(queue: &Queue, epoch: Instant, waits: &Waits) -> Result<(), Error> {
    for _ in 0..500 {
        let at = u64::try_from(epoch.elapsed().as_nanos())?;
        sqlx::query("select gristmill.enqueue('ping', $1)")
            .bind(serde_json::to_value(Ping { at })?)
            .execute(queue.pool())
            .await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    say("`select gristmill.enqueue(…)` to start", &mut taken(waits).await);
    Ok(())
}

async fn taken(waits: &Waits) -> Vec<Duration> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::mem::take(&mut waits.lock().expect("no thread panics with it"))
}

fn say(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("idle: {what}: p50 {:?}, p99 {:?}, of {}", at(50), at(99), times.len());
}

async fn all_done(queue: &Queue, done: &AtomicU64, jobs: u64) -> Result<(), Error> {
    loop {
        if done.load(Relaxed) >= jobs {
            let left: i64 = sqlx::query_scalar("select count(*) from gristmill.jobs where state = 'available'")
                .fetch_one(queue.pool())
                .await?;
            if left == 0 {
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Jobs that one transaction enqueues by SQL, ten thousand in a statement, as a trigger or another language would.
async fn by_sql(queue: &Queue, done: &AtomicU64, jobs: u64) -> Result<(), Error> {
    done.store(0, Relaxed);
    let started = Instant::now();
    let mut tx = queue.pool().begin().await?;
    for start in (0..jobs).step_by(10_000) {
        sqlx::query(
            "select count(*) from gristmill.enqueue_many((
                select jsonb_agg(jsonb_build_object('name', 'noop', 'payload', jsonb_build_object('n', n)))
                from generate_series($1::bigint, $2::bigint) n))",
        )
        .bind(i64::try_from(start)?)
        .bind(i64::try_from((start + 10_000).min(jobs))? - 1)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    let enqueued = started.elapsed();
    while done.load(Relaxed) < jobs {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!(
        "{jobs} jobs by SQL in one transaction: committed after {:.2} s, all started after {:.2} s",
        enqueued.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    all_done(queue, done, jobs).await
}

#[derive(Serialize, Deserialize)]
struct Member {
    n: u64,
}

impl Job for Member {
    const NAME: &'static str = "member";
}

#[derive(Serialize, Deserialize)]
struct Join {}

impl Job for Join {
    const NAME: &'static str = "join";
}

/// What a join has read: how many results, and their sum.
type Joins = Arc<Mutex<Option<(usize, u64)>>>;

async fn member(ctx: Context, member: Member) -> Result<(), JobError> {
    ctx.set_result(&member.n)?;
    Ok(())
}

async fn join(joins: Joins, ctx: Context, _: Join) -> Result<(), JobError> {
    let (mut after, mut read, mut sum) = (None, 0, 0);
    loop {
        let members = ctx.members::<u64>(after, 1_000).await?;
        let Some(last) = members.last() else { break };
        after = Some(last.id);
        read += members.len();
        sum += members.iter().filter_map(|member| member.result).sum::<u64>();
    }
    *joins.lock().expect("no thread panics with it") = Some((read, sum));
    Ok(())
}

/// A group whose join reads what its members returned.
async fn joined(queue: &Queue, joins: &Joins, members: u64) -> Result<(), Error> {
    let started = Instant::now();
    let mut tx = queue.pool().begin().await?;
    let join = Some(JobSpec::of(&Join {})?);
    let group =
        queue.create_group(&mut tx, NewGroup { on_complete: join, ..NewGroup::new(GroupPolicy::Continue) }).await?;
    let jobs: Vec<Member> = (0..members).map(|n| Member { n }).collect();
    let options = Options { group: Some(group), ..Options::default() };
    let mut enqueued = queue.enqueue_all(&mut tx, &jobs, &options).await?;
    enqueued.merge(queue.seal_group(&mut tx, group).await?);
    tx.commit().await?;
    queue.push(enqueued).await;
    let (read, sum) = loop {
        if let Some(found) = joins.lock().expect("no thread panics with it").take() {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    println!(
        "a group of {members} whose join reads {read} results (sum {sum}): {:.2} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
