//! A queue is held to limits over all its workers: jobs at a time, jobs of one key at a time, starts a second.
//! `cargo run -p gristmill-queue --example limits`

#[path = "support/engines.rs"]
mod engines;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
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

/// What each fetch gets beside its job: how many run, and the most that ran at a time.
#[derive(Default)]
struct Counts {
    running: AtomicUsize,
    most: AtomicUsize,
}

async fn fetch(counts: Arc<Counts>, _: Context, _: Fetch) -> Result<(), JobError> {
    counts.most.fetch_max(counts.running.fetch_add(1, SeqCst) + 1, SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    counts.running.fetch_sub(1, SeqCst);
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    let (queue, _engines) = engines::queue().await?;
    let limits = Limits { concurrency: Some(3), key_concurrency: Some(2), rate_per_second: Some(20.0), burst: Some(5) };
    queue.queues().set_limits("fetches", &limits).await?;
    let counts = Arc::new(Counts::default());
    let worker = Worker::builder(&queue).queue("fetches", 16).register_with(&counts, fetch).build();
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
    let most = counts.most.load(SeqCst);
    println!("30 jobs in {:.1?}, at most {most} at a time", started.elapsed());
    assert!(most <= 3 && started.elapsed() > Duration::from_secs(1));
    Ok(())
}
