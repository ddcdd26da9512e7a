//! Single jobs: now, later, urgent and not, some of them by a process that forgets to push.

use std::time::Duration;

use gristmill_queue::{Enqueued, Job, Options, Queue, QueueError};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::{Workload, lock};
use crate::chaos::bodies::{Effect, Ending, Plain, Today, Yesterday};

/// `builds`: there are workers of both, so that every job is known to some.
pub(super) async fn enqueue(queue: &Queue, seed: u64, builds: bool, workload: &Workload, stop: &CancellationToken) {
    let mut dice = StdRng::seed_from_u64(seed ^ 0x6a6f_6273);
    let mut n = 0;
    while !stop.is_cancelled() {
        let options = Options {
            run_at: dice
                .random_bool(0.15)
                .then(|| Timestamp::now() + SignedDuration::from_millis(dice.random_range(500..4_000))),
            priority: dice.random_bool(0.3).then(|| dice.random_range(0..10)),
            ..Options::default()
        };
        let many = dice.random_range(1..5);
        let numbers = n..n + many;
        let entered = match dice.random_range(0..10) {
            0..2 => enter(queue, &numbers.map(|n| Plain { n }).collect::<Vec<_>>(), &options).await,
            2 if builds => enter(queue, &numbers.map(|n| Yesterday { n }).collect::<Vec<_>>(), &options).await,
            3 if builds => enter(queue, &numbers.map(|n| Today { n }).collect::<Vec<_>>(), &options).await,
            _ => enter(queue, &numbers.map(|n| effect(&mut dice, n)).collect::<Vec<_>>(), &options).await,
        };
        n += many;
        if let Ok(entered) = entered {
            lock(&workload.jobs).extend(entered.ids());
            // as a process that dies after its commit
            if dice.random_bool(0.9) {
                queue.push(entered).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(50..350))).await;
    }
}

/// Short ones, and now and then one that takes seconds or needs a second attempt.
pub(super) fn effect(dice: &mut impl Rng, n: i64) -> Effect {
    let millis = match dice.random_range(0..20) {
        0 => dice.random_range(1_500..4_000),
        1..6 => dice.random_range(100..600),
        _ => dice.random_range(0..50),
    };
    let end = if dice.random_bool(0.05) { Ending::SecondAttempt } else { Ending::Done };
    Effect { n, millis, end }
}

pub(super) async fn enter<J: Job>(queue: &Queue, jobs: &[J], options: &Options) -> Result<Enqueued, QueueError> {
    let mut tx = queue.pool().begin().await?;
    let entered = queue.enqueue_all(&mut tx, jobs, options).await?;
    tx.commit().await?;
    Ok(entered)
}
