//! Jobs that take their workers down, and what their own handler makes of it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use gristmill_queue::{
    Claim, Completion, Context, GroupPolicy, JobError, JobId, JobSpec, NewGroup, Options, QueueError, Worker,
};

use crate::{
    crash::{Stuck, claim_and_die},
    support::{Effect, Join, LONG, TestQueue, effect, join, test_queue, until, work},
};

/// A sealed group of one job that kills whoever touches it.
async fn deadly(test: &TestQueue) -> JobId {
    let new = NewGroup {
        on_complete: Some(JobSpec::of(&Join { failed: false }).unwrap()),
        on_failure: Some(JobSpec::of(&Join { failed: true }).unwrap()),
        ..NewGroup::new(GroupPolicy::FailFast)
    };
    let mut conn = test.pool.acquire().await.unwrap();
    let group = test.queue.create_group(&mut conn, new).await.unwrap();
    let options = Options { group: Some(group), client_id: Some(7.into()), ..Options::default() };
    let id = test.enqueue(&[Stuck], &options).await[0];
    assert!(test.queue.seal_group(&mut conn, group).await.unwrap().is_empty());
    id
}

async fn hold(_: Context, _: Stuck) -> Result<(), JobError> {
    std::future::pending().await
}

async fn halve(ctx: Context, _: Stuck) -> Result<(), JobError> {
    let mut tx = ctx.queue.pool().begin().await?;
    if let Completion::Done(halves) = ctx.queue.replace(&mut tx, &ctx.claim, &[Effect::new(1), Effect::new(2)]).await? {
        tx.commit().await?;
        ctx.queue.push(halves).await;
    }
    Ok(())
}

async fn halve_the_second_time(asked: Arc<AtomicU32>, ctx: Context, job: Stuck) -> Result<(), JobError> {
    match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Err(JobError::retry("not now")),
        _ => halve(ctx, job).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_its_workers_down_is_replaced_in_its_sealed_group() {
    let test = test_queue().await;
    let id = deadly(&test).await;
    for _ in 1..=3 {
        claim_and_die(&test).await;
    }
    let asked = Arc::new(AtomicU32::new(0));
    let worker = Worker::builder(&test.queue)
        .queue("default", 4)
        .register::<Stuck>(hold)
        .on_worker_lost_with(&asked, halve_the_second_time)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build();
    let worker = work(&worker);
    until("the join", LONG, || async { test.count("select count(*) from effects where n = -1").await == 1 }).await;
    until("the broker to forget it", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 0) })
        .await;
    worker.stop().await;
    assert_eq!(asked.load(Ordering::Relaxed), 2, "a handler that fails is asked again");
    assert_eq!(test.state(id).await, ("completed".into(), 0, None));
    assert_eq!(test.effects().await, (3, 3));
    assert_eq!(test.count("select total from gristmill.groups where state = 'completed' and completed = 3").await, 3);
    assert_eq!(test.count("select count(*) from gristmill.jobs where name = 'effect' and client_id = 7").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_leaves_the_job_undone_leaves_it_dead() {
    let test = test_queue().await;
    let id = deadly(&test).await;
    for _ in 1..=3 {
        claim_and_die(&test).await;
    }
    let worker = Worker::builder(&test.queue)
        .queue("default", 4)
        .register::<Stuck>(hold)
        .on_worker_lost::<Stuck>(|_, _| async { Ok(()) })
        .register::<Join>(join)
        .build();
    let worker = work(&worker);
    until("the failure's join", LONG, || async { test.count("select count(*) from effects where n = -2").await == 1 })
        .await;
    worker.stop().await;
    let (state, _, error) = test.state(id).await;
    assert_eq!((state.as_str(), error.as_deref()), ("dead", Some("lost_worker: 3 workers were lost with it")));
}

#[tokio::test]
async fn only_a_job_that_is_to_be_done_is_replaced() {
    let test = test_queue().await;
    let claim = Claim::new(deadly(&test).await, 1);
    let mut tx = test.pool.begin().await.unwrap();
    let replaced = test.queue.replace(&mut tx, &claim, &[Effect::new(1)]).await.unwrap();
    assert!(matches!(replaced, Completion::Done(jobs) if jobs.ids().len() == 1));
    let again = test.queue.replace(&mut tx, &claim, &[Effect::new(1)]).await.unwrap();
    assert!(matches!(again, Completion::AlreadyDone));
    tx.commit().await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 2);

    let claim = Claim::new(deadly(&test).await, 1);
    sqlx::query("update gristmill.groups set state = 'failing' where total = 1").execute(&test.pool).await.unwrap();
    let mut tx = test.pool.begin().await.unwrap();
    let refused = test.queue.replace(&mut tx, &claim, &[Effect::new(1)]).await;
    assert!(matches!(refused, Err(QueueError::GroupClosed(_))), "{refused:?}");
}
