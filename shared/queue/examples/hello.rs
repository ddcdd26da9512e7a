//! A job is enqueued in a transaction, and runs. `cargo run -p gristmill-queue --example hello`

#[path = "support/engines.rs"]
mod engines;

use engines::Error;
use gristmill_queue::{Context, Job, JobError, Options, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Hello {
    name: String,
}

impl Job for Hello {
    const NAME: &'static str = "hello";
}

async fn hello(ctx: Context, job: Hello) -> Result<(), JobError> {
    println!("hello, {}! (job {}, attempt {})", job.name, ctx.claim.id, ctx.attempt);
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let worker = Worker::builder(&queue).queue("default", 4).register(hello).build();
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });

    let mut tx = queue.pool().begin().await?;
    let enqueued = queue.enqueue(&mut tx, &Hello { name: "world".into() }, &Options::default()).await?;
    let id = enqueued.ids()[0];
    tx.commit().await?; // from here on it will be done
    queue.push(enqueued).await; // and from here on it is on its way

    let done = "select count(*) from gristmill.jobs where id = $1 and state = 'completed'";
    while sqlx::query_scalar::<_, i64>(done).bind(id).fetch_one(queue.pool()).await? == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop.cancel();
    Ok(working.await??)
}
