//! Bodies that work with state of their own: the function says which job it is for.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use gristmill_queue::{Context, Job, JobError, Options, Worker};
use serde::{Deserialize, Serialize};

use crate::support::{LONG, test_queue, until, work};

#[derive(Debug, Serialize, Deserialize)]
struct Add {
    n: i64,
}

impl Job for Add {
    const NAME: &'static str = "add";
    const ALIASES: &'static [&'static str] = &["plus"];
}

#[derive(Debug, Serialize, Deserialize)]
struct Subtract {
    n: i64,
}

impl Job for Subtract {
    const NAME: &'static str = "subtract";
}

/// What an older binary enqueued `Add` as.
#[derive(Debug, Serialize, Deserialize)]
struct Plus {
    n: i64,
}

impl Job for Plus {
    const NAME: &'static str = "plus";
}

/// A sum and how many runs it is of.
#[derive(Clone, Default)]
struct Sum {
    of: Arc<AtomicI64>,
    runs: Arc<AtomicI64>,
}

impl Sum {
    fn add(&self, n: i64) {
        self.of.fetch_add(n, SeqCst);
        self.runs.fetch_add(1, SeqCst);
    }
}

async fn add(sum: Sum, _: Context, job: Add) -> Result<(), JobError> {
    sum.add(job.n);
    Ok(())
}

async fn subtract((sum, times): (Sum, i64), ctx: Context, job: Subtract) -> Result<(), JobError> {
    sum.add(-job.n * times);
    ctx.set_result(&times)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_gets_the_state_that_its_body_was_registered_with() {
    let test = test_queue().await;
    let (sum, other) = (Sum::default(), Sum::default());
    let worker = Worker::builder(&test.queue)
        .queue("default", 4)
        .register_with(&sum, add)
        .register_with(&(sum.clone(), 10), subtract)
        .build();
    let elsewhere = Worker::builder(&test.queue).queue("elsewhere", 1).register_with(&other, add).build();
    test.enqueue(&[Add { n: 1 }, Add { n: 20 }, Add { n: 300 }], &Options::default()).await;
    test.enqueue(&[Plus { n: 4_000 }], &Options::default()).await;
    test.enqueue(&[Subtract { n: 5 }], &Options::default()).await;
    let (worker, elsewhere) = (work(&worker), work(&elsewhere));
    let ended = "select count(*) from gristmill.jobs where state = 'completed'";
    until("all to end", LONG, || async { test.count(ended).await == 5 }).await;
    worker.stop().await;
    elsewhere.stop().await;
    assert_eq!((sum.of.load(SeqCst), sum.runs.load(SeqCst)), (4_321 - 50, 5));
    assert_eq!(other.runs.load(SeqCst), 0, "a worker's state is its own");
    assert_eq!(test.count("select (result #>> '{}')::int8 from gristmill.jobs where name = 'subtract'").await, 10);
}
