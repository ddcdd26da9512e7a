//! A queue is held to limits over all its workers: jobs at a time, jobs of one key at a time, starts a second.
//! `cargo run -p gristmill-queue --example limits`

#[path = "support/engines.rs"]
mod engines;

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use engines::Error;
use gristmill_queue::{Context, Job, JobError, Limits, Options, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Fetch {
    page: u32,
}

impl Job for Fetch {
    const NAME: &'static str = "fetch";
    const QUEUE: &'static str = "fetches";
}

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

async fn fetch(_: Context, _: Fetch) -> Result<(), JobError> {
    MOST.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    RUNNING.fetch_sub(1, SeqCst);
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let limits = Limits { concurrency: Some(3), key_concurrency: Some(2), rate_per_second: Some(20.0), burst: Some(5) };
    queue.queues().set_limits("fetches", &limits).await?;
    let worker = Worker::builder(&queue).queue("fetches", 16).register::<Fetch>(fetch).build();
    let mut tx = queue.pool().begin().await?;
    for site in ["a.example", "b.example"] {
        let pages: Vec<Fetch> = (0..15).map(|page| Fetch { page }).collect();
        let options = Options { fair_key: Some(site.into()), ..Options::default() };
        // Nothing is pushed here: the sweep of the drain does it.
        let _ = queue.enqueue_all(&mut tx, &pages, &options).await?;
    }
    tx.commit().await?;
    let started = Instant::now();
    queue.drain(&worker, Duration::from_secs(60)).await?;
    println!("30 jobs in {:.1?}, at most {} at a time", started.elapsed(), MOST.load(SeqCst));
    assert!(MOST.load(SeqCst) <= 3 && started.elapsed() > Duration::from_secs(1));
    Ok(())
}
