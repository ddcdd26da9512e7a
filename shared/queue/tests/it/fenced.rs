//! Who no longer has a job decides nothing about it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use gristmill_queue::{Context, Fence, Job, JobError, Options, Worker};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{Bench, LONG, bench, once, sweep, until, work};

/// Its first run is overtaken by another one, its second run has the effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Overtaken;

impl Job for Overtaken {
    const NAME: &'static str = "overtaken";
    const MAX_ATTEMPTS: u16 = 2;
}

/// As the failure of another run, and the sweep after it, leave the row.
async fn set_state(ctx: &Context, state: &str) -> Result<(), JobError> {
    sqlx::query(
        "update jobs set state = $2, run_at = now() + case $2 when 'scheduled' then interval '1 hour' else '0' end
         where id = $1",
    )
    .bind(ctx.claim.id)
    .bind(state)
    .execute(ctx.queue.pool())
    .await?;
    Ok(())
}

/// Runs one job, whose first run does `first`, until it has its effect.
async fn run<F, Fut>(bench: &Bench, first: F) -> Uuid
where
    F: Fn(Context) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let id = bench.enqueue(&[Overtaken], &Options::default()).await[0];
    let runs = Arc::new(AtomicU32::new(0));
    let body = move |ctx: Context, _| {
        let (is_first, first) = (runs.fetch_add(1, Ordering::Relaxed) == 0, first.clone());
        async move { if is_first { first(ctx).await } else { once(&ctx, 1).await } }
    };
    let worker = work(&Worker::builder(&bench.queue).queue("default", 2).register::<Overtaken>(body).build());
    let sweeper = sweep(&bench.queue);
    until("the end of the job", LONG, || async {
        !["available", "scheduled"].contains(&bench.state(id).await.0.as_str())
    })
    .await;
    worker.stop().await;
    sweeper.stop().await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_cancels_no_job_that_nobody_wanted_cancelled() {
    for cancelled in [true, false] {
        let bench = bench().await;
        let id = run(&bench, move |ctx| async move {
            set_state(&ctx, "scheduled").await?;
            ctx.cancel.cancelled().await;
            set_state(&ctx, "available").await?;
            Err(if cancelled { JobError::Cancelled } else { JobError::retry("told to stop") })
        })
        .await;
        assert_eq!(bench.state(id).await, ("completed".into(), 0, None));
        assert_eq!(bench.effects().await, (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_found_the_job_done_completes_none_that_is_to_be_done_again() {
    let bench = bench().await;
    let id = run(&bench, |ctx| async move {
        set_state(&ctx, "scheduled").await?;
        let mut tx = ctx.queue.pool().begin().await?;
        assert_eq!(ctx.queue.lock(&mut tx, &ctx.claim).await?, Fence::AlreadyDone);
        tx.rollback().await?;
        set_state(&ctx, "available").await
    })
    .await;
    assert_eq!(bench.state(id).await, ("completed".into(), 0, None));
    assert_eq!(bench.effects().await, (1, 1));
}
