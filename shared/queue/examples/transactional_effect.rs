//! The effect and the end of its job in one transaction: it happens once, however often the job is delivered.
//! `cargo run -p gristmill-queue --example transactional_effect`

#[path = "support/engines.rs"]
mod engines;

use std::time::Duration;

use engines::Error;
use gristmill_queue::{Claim, Completion, Context, Job, JobError, Options, Queue, QueueError, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Pay {
    account: i64,
    cents: i64,
}

impl Job for Pay {
    const NAME: &'static str = "pay";
}

async fn pay(ctx: Context, job: Pay) -> Result<(), JobError> {
    transfer(&ctx.queue, &ctx.claim, &job).await.map_err(|error| JobError::Retry(error.into()))
}

async fn transfer(queue: &Queue, claim: &Claim, job: &Pay) -> Result<(), QueueError> {
    let mut tx = queue.pool().begin().await?;
    let credit = sqlx::query("update accounts set cents = cents + $2 where id = $1").bind(job.account).bind(job.cents);
    credit.execute(&mut *tx).await?;
    match queue.complete(&mut tx, claim).await? {
        Completion::Done(next) => {
            tx.commit().await?;
            queue.push(next).await; // a group's join, if this was its last member
        }
        Completion::AlreadyDone => {
            println!("delivery {}: it was paid before, so nothing is", claim.delivery);
            tx.rollback().await?;
        }
    }
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    sqlx::query("create table accounts (id bigint primary key, cents bigint not null)").execute(queue.pool()).await?;
    sqlx::query("insert into accounts values (1, 0)").execute(queue.pool()).await?;
    let worker = Worker::builder(&queue).queue("default", 4).register(pay).build();

    let job = Pay { account: 1, cents: 250 };
    let mut tx = queue.pool().begin().await?;
    let enqueued = queue.enqueue(&mut tx, &job, &Options::default()).await?;
    let id = enqueued.ids()[0];
    tx.commit().await?;
    queue.push(enqueued).await;
    queue.drain(&worker, Duration::from_secs(30)).await?;

    // As if a worker had been frozen for an hour, and woke up with the job in its hands.
    transfer(&queue, &Claim::new(id, 2), &job).await?;
    let cents: i64 = sqlx::query_scalar("select cents from accounts where id = 1").fetch_one(queue.pool()).await?;
    println!("{cents} cents, once");
    assert_eq!(cents, 250);
    Ok(())
}
