//! While a job with a key waits, another one with that key is not enqueued.
//! `cargo run -p gristmill-queue --example unique_jobs`

#[path = "support/engines.rs"]
mod engines;

use std::time::Duration;

use engines::Error;
use gristmill_queue::{Context, Job, JobError, Options, Queue, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Reindex {
    shop: u32,
}

impl Job for Reindex {
    const NAME: &'static str = "reindex";
}

async fn reindex(_: Context, job: Reindex) -> Result<(), JobError> {
    println!("shop {} is indexed", job.shop);
    Ok(())
}

/// Asked for with every change to the shop; it is enough that it runs after the last one.
async fn changed(queue: &Queue, shop: u32) -> Result<bool, Error> {
    let mut tx = queue.pool().begin().await?;
    let options = Options {
        unique_key: Some(format!("reindex:{shop}")),
        delay: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let enqueued = queue.enqueue(&mut tx, &Reindex { shop }, &options).await?;
    tx.commit().await?;
    let fresh = !enqueued.is_empty();
    queue.push(enqueued).await;
    Ok(fresh)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let worker = Worker::builder(&queue).queue("default", 4).register(reindex).build();
    for shop in [1, 1, 2, 1, 2] {
        println!("shop {shop} changed: {}", if changed(&queue, shop).await? { "enqueued" } else { "it waits already" });
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    let drained = queue.drain(&worker, Duration::from_secs(30)).await?;
    assert_eq!((drained.completed, drained.scheduled), (2, 0));
    println!("shop 1 changed again: {}", changed(&queue, 1).await?);
    Ok(())
}
