//! A job that fails is tried again, later and later; one that is hopeless, or out of attempts, is dead and keeps its error,
//! until somebody runs it again or gives it up.
//! `cargo run -p gristmill-queue --example retries_and_dead_letters`

#[path = "support/engines.rs"]
mod engines;

use std::time::Duration;

use engines::Error;
use gristmill_queue::{Context, Job, JobError, JobId, Options, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Call {
    number: String,
}

impl Job for Call {
    const NAME: &'static str = "call";
    const MAX_ATTEMPTS: u16 = 3;
}

async fn call(ctx: Context, job: Call) -> Result<(), JobError> {
    println!("attempt {} of {} to call {}", ctx.attempt, ctx.max_attempts, job.number);
    match &*job.number {
        "busy" if ctx.attempt < 2 => Err(JobError::RetryAfter(Duration::from_millis(50), "the line is busy".into())),
        "busy" => Ok(()),
        "wrong" => Err(JobError::discard("there is no such number")),
        _ => Err("nobody answers".parse::<u32>().map(drop).expect_err("it is no number").into()), // any error by `?` is a retry
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let worker = Worker::builder(&queue).queue("default", 4).register(call).build();
    let calls = ["busy", "wrong", "nobody"].map(|number| Call { number: number.into() });
    let mut tx = queue.pool().begin().await?;
    let enqueued = queue.enqueue_all(&mut tx, &calls, &Options::default()).await?;
    tx.commit().await?;
    queue.push(enqueued).await;

    let dead = "select id, payload->>'number', last_error from gristmill.jobs where state = 'dead' order by id";
    let mut found: Vec<(JobId, String, String)> = Vec::new();
    while found.len() < 2 {
        queue.drain(&worker, Duration::from_secs(30)).await?;
        found = sqlx::query_as(dead).fetch_all(queue.pool()).await?;
        tokio::time::sleep(Duration::from_millis(50)).await; // the second and third attempts are a while away
    }
    for (id, number, error) in &found {
        println!("dead: {id}, {number}: {error}");
    }
    let mut tx = queue.pool().begin().await?;
    let given_up = queue.discard(&mut tx, &[found[0].0]).await?;
    let again = queue.redrive(&mut tx, &[found[1].0]).await?;
    tx.commit().await?;
    println!("{given_up} given up, {} runs again, with all its attempts", again.ids().len());
    queue.push(again).await;
    queue.drain(&worker, Duration::from_secs(30)).await?;
    Ok(())
}
