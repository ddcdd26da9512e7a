//! What an `App` costs: no-op jobs a second through a bare worker, and through an `App` with an extractor and a layer, by turns
//! on the same engines.
//!
//! `cargo run --release -p gristmill --features testing --example app_overhead -- [JOBS] [ROUNDS] [SLOTS]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use gristmill::{
    Queue, Settings,
    prelude::*,
    queue::{Sweeper, Worker},
};
use tokio_util::sync::CancellationToken;
use tower::limit::ConcurrencyLimitLayer;

#[derive(Serialize, Deserialize, Job)]
struct Noop {
    n: u64,
}

type Done = Arc<AtomicU64>;
type Error = Box<dyn std::error::Error>;

async fn noop(_: Noop, Data(done): Data<Done>) {
    done.fetch_add(1, Relaxed);
}

async fn bare(done: Done, _: Context, _: Noop) -> Result<(), JobError> {
    done.fetch_add(1, Relaxed);
    Ok(())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: u64| arguments.get(at).map_or(Ok(usual), |text| text.parse());
    let (jobs, rounds, slots) = (number(0, 20_000)?, number(1, 5)?, usize::try_from(number(2, 256)?)?);

    let mut settings = Settings::default();
    settings.telemetry = None;
    let test = App::new(settings).test().await?;
    let queue = test.queue()?;
    let stop = CancellationToken::new();
    let sweep = tokio::spawn(Sweeper::new(queue).run(stop.clone()));
    let (mut bare_rates, mut app_rates) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        bare_rates.push(through_a_worker(queue, jobs, slots).await?);
        app_rates.push(through_an_app(test.settings(), queue, jobs, slots).await?);
    }
    stop.cancel();
    sweep.await?;
    let (bare, app) = (median(&mut bare_rates), median(&mut app_rates));
    println!("{jobs} no-op jobs, {slots} slots, the median of {rounds} rounds:");
    println!("  a worker                               {bare:.0}/s");
    println!("  an App with an extractor and a layer   {app:.0}/s, {:+.1} %", (app / bare - 1.0) * 100.0);
    Ok(())
}

async fn through_a_worker(queue: &Queue, jobs: u64, slots: usize) -> Result<f64, Error> {
    let (done, stop) = (Done::default(), CancellationToken::new());
    let worker = Worker::builder(queue).queue("default", slots).register_with(&done, bare).build();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let rate = measure(queue, jobs, &done).await?;
    stop.cancel();
    running.await??;
    Ok(rate)
}

async fn through_an_app(settings: &Settings, queue: &Queue, jobs: u64, slots: usize) -> Result<f64, Error> {
    let (done, settings) = (Done::default(), settings.clone());
    let app = App::new(settings).role(Role::Worker).data(Done::clone(&done)).layer(ConcurrencyLimitLayer::new(slots));
    let running = app.queue("default", |q| q.slots(slots)).job(noop).start().await?;
    let rate = measure(queue, jobs, &done).await?;
    running.stop().await?;
    Ok(rate)
}

/// Jobs a second from the first insert to the last commit.
async fn measure(queue: &Queue, jobs: u64, done: &AtomicU64) -> Result<f64, Error> {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    let mut sent = 0;
    while sent < jobs {
        let batch: Vec<Noop> = (sent..(sent + 1_000).min(jobs)).map(|n| Noop { n }).collect();
        sent += batch.len() as u64;
        let mut tx = queue.pool().begin().await?;
        let enqueued = queue.enqueue_all(&mut tx, &batch, &gristmill::Options::default()).await?;
        tx.commit().await?;
        queue.push(enqueued).await;
    }
    // Acknowledged is what the ledger has committed.
    while done.load(Relaxed) < jobs || queue.broker_depth("default").await? != (0, 0) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(jobs as f64 / started.elapsed().as_secs_f64())
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}
