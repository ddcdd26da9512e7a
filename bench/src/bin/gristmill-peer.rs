//! Gristmill at the exercise of `bench/peers/run.py`: `gristmill-peer worker`, or `gristmill-peer drive`, which reads
//! commands from its standard input, one a line, and answers each with one line of JSON. `postgres` after it: without Redis.

use std::{
    io::{BufRead, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use gristmill_queue::{
    BrokerConfig, Context, GroupPolicy, Job, JobError, JobSpec, NewGroup, Options, Queue, QueueConfig, Sweeper, Worker,
};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Noop {
    n: u64,
}

impl Job for Noop {
    const NAME: &'static str = "noop";
}

/// Called at this time, in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Ping {
    at: f64,
}

impl Job for Ping {
    const NAME: &'static str = "ping";
}

#[derive(Serialize, Deserialize)]
struct Slow {}

impl Job for Slow {
    const NAME: &'static str = "slow";
}

#[derive(Serialize, Deserialize)]
struct Join {}

impl Job for Join {
    const NAME: &'static str = "join";
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let redis_url = setting("PEER_REDIS")?;
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .after_connect(|connection, _| Box::pin(gristmill_queue::tune_connection(connection)))
        .connect(&setting("PEER_DATABASE")?)
        .await?;
    let broker = BrokerConfig::from_settings(std::env::args().nth(2).as_deref(), Some(&redis_url))?;
    // That of whose queue is counted; else one of its own.
    let namespace = setting("PEER_NAMESPACE").unwrap_or_else(|_| format!("peer-{}", broker.name()));
    let queue = Queue::connect(pool, QueueConfig { namespace, ..QueueConfig::on(broker) }).await?;
    match std::env::args().nth(1).as_deref() {
        Some("worker") => worker(&queue, &redis_url).await,
        Some("drive") => drive(&queue).await,
        _ => bail!("usage: gristmill-peer (worker | drive) [redis | postgres], with PEER_REDIS and PEER_DATABASE"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the exercise hands its settings over like this to every peer")]
fn setting(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

async fn worker(queue: &Queue, redis_url: &str) -> anyhow::Result<()> {
    let store = redis::Client::open(redis_url)?.get_multiplexed_async_connection().await?;
    let worker = Worker::builder(queue)
        .queue("default", 256)
        .register::<Noop>(|_, _| async { Ok(()) })
        .register_with(&store, ping)
        .register_with(&store, slow)
        .register_with(&store, join)
        .build();
    // As in a scheduler beside the workers.
    tokio::spawn(Sweeper::new(queue).run(CancellationToken::new()));
    worker.run(CancellationToken::new()).await.context("the worker stopped")
}

async fn ping(mut store: MultiplexedConnection, _: Context, job: Ping) -> Result<(), JobError> {
    let wait = seconds() - job.at;
    tell(redis::cmd("RPUSH").arg("peer:waits").arg(wait), &mut store).await
}

async fn slow(mut store: MultiplexedConnection, _: Context, _: Slow) -> Result<(), JobError> {
    let start = format!("{} {}", seconds(), std::process::id());
    tell(redis::cmd("RPUSH").arg("peer:starts").arg(start), &mut store).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(())
}

async fn join(mut store: MultiplexedConnection, _: Context, _: Join) -> Result<(), JobError> {
    let now = seconds();
    tell(redis::cmd("SET").arg("peer:joined").arg(now), &mut store).await
}

async fn tell(command: &redis::Cmd, store: &mut MultiplexedConnection) -> Result<(), JobError> {
    Ok(command.query_async::<()>(store).await?)
}

async fn drive(queue: &Queue) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let count = || argument.parse::<u64>().with_context(|| format!("`{command}` takes a number"));
        let answer = match command {
            "enqueue" => {
                let n = count()?;
                for start in (0..n).step_by(1_000) {
                    let jobs: Vec<Noop> = (start..(start + 1_000).min(n)).map(|n| Noop { n }).collect();
                    enqueue(queue, &jobs).await?;
                }
                None
            }
            // Acknowledged is what the ledger has committed, so an empty broker is the end; a count of the table would cost as
            // much as the jobs.
            "left" => {
                let line = if argument.is_empty() { "default" } else { argument };
                let (waiting, leased) = queue.broker_depth(line).await?;
                Some(waiting + leased)
            }
            "ping_once" => {
                enqueue(queue, &[Ping { at: seconds() }]).await?;
                None
            }
            "group" => {
                let mut tx = queue.pool().begin().await?;
                let join = Some(JobSpec::of(&Join {})?);
                let new = NewGroup { on_complete: join, ..NewGroup::new(GroupPolicy::Continue) };
                let group = queue.create_group(&mut tx, new).await?;
                let members: Vec<Noop> = (0..count()?).map(|n| Noop { n }).collect();
                let options = Options { group: Some(group), ..Options::default() };
                let mut enqueued = queue.enqueue_all(&mut tx, &members, &options).await?;
                enqueued.merge(queue.seal_group(&mut tx, group).await?);
                tx.commit().await?;
                queue.push(enqueued).await;
                None
            }
            "start_slow" => {
                enqueue(queue, &[Slow {}]).await?;
                None
            }
            other => bail!("`{other}` is no command"),
        };
        println!("{}", serde_json::to_string(&answer)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

async fn enqueue<J: Job>(queue: &Queue, jobs: &[J]) -> anyhow::Result<()> {
    let mut tx = queue.pool().begin().await?;
    let enqueued = queue.enqueue_all(&mut tx, jobs, &Options::default()).await?;
    tx.commit().await?;
    queue.push(enqueued).await;
    Ok(())
}
