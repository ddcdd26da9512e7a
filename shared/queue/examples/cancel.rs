//! A group is cancelled: what waits never runs, what runs is told to stop.
//! `cargo run -p gristmill-queue --example cancel`

#[path = "support/engines.rs"]
mod engines;

use std::time::Duration;

use engines::Error;
use gristmill_queue::{Context, GroupPolicy, Job, JobError, NewGroup, Options, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Dig {
    metres: u32,
}

impl Job for Dig {
    const NAME: &'static str = "dig";
}

async fn dig(ctx: Context, job: Dig) -> Result<(), JobError> {
    println!("digging {} m", job.metres);
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(3_600)) => Ok(()),
        () = ctx.cancel.cancelled() => {
            println!("told to stop: filling the hole in");
            Err(JobError::Cancelled)
        }
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let worker = Worker::builder(&queue).queue("default", 2).register(dig).build();
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });

    let mut tx = queue.pool().begin().await?;
    let group = queue.create_group(&mut tx, NewGroup::new(GroupPolicy::Continue)).await?;
    let options = Options { group: Some(group), ..Options::default() };
    let holes: Vec<Dig> = (1..=10).map(|metres| Dig { metres }).collect();
    let enqueued = queue.enqueue_all(&mut tx, &holes, &options).await?;
    tx.commit().await?;
    queue.push(enqueued).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let mut tx = queue.pool().begin().await?;
    let cancelled = queue.cancel_group(&mut tx, group).await?;
    tx.commit().await?; // from here on none of them can have an effect in this database
    println!("{cancelled} jobs are cancelled");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.cancel();
    Ok(working.await??)
}
