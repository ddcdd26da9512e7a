//! Many jobs and one that comes when all of them are done, or when one of them has failed.
//! `cargo run -p gristmill-queue --example groups`

#[path = "support/engines.rs"]
mod engines;

use std::time::Duration;

use engines::Error;
use gristmill_queue::{Context, GroupPolicy, Job, JobError, JobSpec, NewGroup, Options, Queue, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Page {
    no: u32,
}

impl Job for Page {
    const NAME: &'static str = "page";
}

#[derive(Serialize, Deserialize)]
struct Bind {
    well: bool,
}

impl Job for Bind {
    const NAME: &'static str = "bind";
}

async fn page(_: Context, job: Page) -> Result<(), JobError> {
    if job.no == 13 { Err(JobError::discard("page 13 is torn")) } else { Ok(()) }
}

async fn bind(_: Context, job: Bind) -> Result<(), JobError> {
    println!("{}", if job.well { "all pages are there: bound" } else { "a page is missing: thrown away" });
    Ok(())
}

async fn book(queue: &Queue, pages: u32) -> Result<(), Error> {
    let mut tx = queue.pool().begin().await?;
    let join = |well| JobSpec::of(&Bind { well }).map(Some);
    let new = NewGroup { on_complete: join(true)?, on_failure: join(false)?, ..NewGroup::new(GroupPolicy::FailFast) };
    let group = queue.create_group(&mut tx, new).await?;
    let pages: Vec<Page> = (1..=pages).map(|no| Page { no }).collect();
    let options = Options { group: Some(group), ..Options::default() };
    let mut enqueued = queue.enqueue_all(&mut tx, &pages, &options).await?;
    enqueued.merge(queue.seal_group(&mut tx, group).await?); // no more members: the join may come
    tx.commit().await?;
    queue.push(enqueued).await;
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let worker = Worker::builder(&queue).queue("default", 4).register(page).register(bind).build();
    book(&queue, 12).await?;
    book(&queue, 500).await?;
    let drained = queue.drain(&worker, Duration::from_secs(30)).await?;
    println!("{drained:?}");
    Ok(())
}
